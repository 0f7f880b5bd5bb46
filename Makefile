# SPDX-License-Identifier: BSD-2-Clause
# Makefile - builds, tests and installs weir. Sources are found by wildcard.
#
#   make                      build/weir, configured on the first call (./configure --help has the options)
#   make run [PORT=8080]      the demo in the foreground
#   make test [T="t/http t/unit/common/base"] [SANITIZE=address,undefined] [VALGRIND=1]
#   make V=1                  with the commands
#   make BUILD=build/clang CC=clang        a second build beside the first

comma    := ,
SANITIZE ?=
BUILD    ?= build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
PORT     ?= 8080
T        ?= t
Q        := $(if $(V),,@)
SAY       = $(if $(V),@:,@printf '  %-5s %s\n')

.DELETE_ON_ERROR:
.SUFFIXES:
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# What a goal needs is installed before configure looks for it, so these goals run make a second time.
FRESH := run test lint bench fuzz
.PHONY: all lib unit install uninstall deps dist clean $(FRESH) $(FRESH:%=do-%)
all:

DEPS_run   := build
DEPS_test  := build test $(if $(VALGRIND),valgrind)
DEPS_lint  := build lint
DEPS_bench := build bench
DEPS_fuzz  := build fuzz
$(FRESH):
	@packaging/deps $(DEPS_$@)
	@+$(MAKE) --no-print-directory do-$@

deps:
	@packaging/deps $(or $(DEPS),build test lint)

clean:
	rm -rf build weir weirctl

ifneq ($(filter-out $(FRESH) deps clean,$(or $(MAKECMDGOALS),all)),)

include $(BUILD)/config.mk
$(BUILD)/config.mk: configure
	@$(if $(filter-out default file,$(origin CC)),CC='$(CC)') ./configure $(CONFIGURE_ARGS) --builddir=$(BUILD) \
		$(if $(SANITIZE),--with-sanitize=$(SANITIZE))
	@touch $@

COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE $(CFLAGS) -pthread -I$(BUILD) -I. -MMD -MP $(CFLAGS_USER)
LINK    = $(CC) $(CFLAGS) -pthread $(LDFLAGS) $(CFLAGS_USER) $(LDFLAGS_USER)

SRC  := $(shell find $(wildcard common master worker) -name '*.c')
# A file that has gone must leave the library too.
$(shell mkdir -p $(BUILD); echo $(SRC) | cmp -s - $(BUILD)/sources || echo $(SRC) >$(BUILD)/sources)
OBJ  := $(SRC:%.c=$(BUILD)/%.o)
UNIT := $(patsubst %.c,$(BUILD)/%,$(shell find t/unit -name '*.c'))
FUZZ := $(patsubst %.c,$(BUILD)/%,$(wildcard t/fuzz/*.c))

all: $(BUILD)/weirctl
lib: $(BUILD)/libweir.a
unit: $(UNIT) $(FUZZ)

$(BUILD)/%.o: %.c $(BUILD)/config.mk
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(COMPILE) -c -o $@ $<

$(BUILD)/libweir.a: $(filter-out $(BUILD)/master/main.o,$(OBJ)) $(BUILD)/sources
	@rm -f $@
	$(SAY) AR $@
	$(Q)$(AR) rcs $@ $(filter %.o,$^)

$(BUILD)/weir: $(BUILD)/master/main.o $(BUILD)/libweir.a
	$(SAY) LD $@
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/weirctl: $(BUILD)/weir
	@ln -sf weir $@
	@$(if $(filter build,$(BUILD)),ln -sf build/weir weir && ln -sf weir weirctl)

# ---- tests ---------------------------------------------------------------------------------------------------------

$(BUILD)/t/unit/%: t/unit/%.c $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(SAY) TEST $<
	$(Q)$(COMPILE) $(LDFLAGS) -It/unit -o $@ $< $(BUILD)/libweir.a $(LDFLAGS_USER) $(LIBS)

# A fuzz target run over its corpus is a unit test too.
$(BUILD)/t/fuzz/%: t/fuzz/%.c t/fuzz/driver/main.c $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(SAY) TEST $<
	$(Q)$(COMPILE) $(LDFLAGS) -DFUZZ_CORPUS='"t/fuzz/corpus/$*"' -o $@ $(filter-out %.h %.mk,$^) $(LDFLAGS_USER) $(LIBS)

# Programs that tests and the bench run beside the daemon, without its sanitizers.
HELPERS       := $(patsubst %.c,$(BUILD)/%,$(wildcard t/lib/*.c))
BENCH_HELPERS := $(patsubst %.c,$(BUILD)/%,$(wildcard t/bench/*.c))
$(HELPERS) $(BENCH_HELPERS): $(BUILD)/%: %.c
	@mkdir -p $(@D)
	$(SAY) TEST $<
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -o $@ $< -Wl,--as-needed -lssl -lcrypto

# T names files and directories; compiled tests go by the names of their sources.
T_UNIT = $(filter $(foreach t,$(patsubst t,t/,$(T:%/=%)),$(BUILD)/$(t:.c=)%),$(UNIT) $(FUZZ))
T_E2E  = $(filter $(foreach t,$(patsubst t,t/,$(T:%/=%)),$(t)%),$(sort $(wildcard t/*/*.t)))

do-test: $(T_UNIT) $(if $(T_E2E),$(BUILD)/weirctl $(HELPERS))
	@WEIR=$(CURDIR)/$(BUILD)/weir WEIR_SANITIZE=$(SANITIZE) VALGRIND=$(VALGRIND) t/lib/prove $(PROVE) $(T_UNIT) $(T_E2E)

do-lint: $(BUILD)/weirctl
	@t/lint/format && t/lint/layers && t/lint/tables $(BUILD)/weir

do-bench: $(BUILD)/weirctl $(BENCH_HELPERS)
	@t/bench/run $(BUILD)/weir $(BENCH)

# Fuzzing is clang's, so it has a build of its own.
FUZZERS := $(patsubst t/fuzz/%.c,build/fuzz/fuzz/%,$(wildcard $(if $(filter t,$(T)),t/fuzz/*.c,$(T:.c=).c)))
do-fuzz:
	@+$(MAKE) --no-print-directory CC=clang BUILD=build/fuzz SANITIZE=fuzzer-no-link,address,undefined $(FUZZERS)
	@t/fuzz/driver/run $(or $(FUZZ_SECONDS),10) $(FUZZERS)

build/fuzz/fuzz/%: t/fuzz/%.c $(BUILD)/libweir.a
	@mkdir -p $(@D)
	$(SAY) FUZZ $<
	$(Q)$(COMPILE) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(BUILD)/libweir.a $(LDFLAGS_USER) $(LIBS)

do-run: $(BUILD)/weirctl
	@conf.d/demo/run $(BUILD)/weir $(PORT)

# ---- installing ----------------------------------------------------------------------------------------------------

CONF_DIR = $(DESTDIR)$(dir $(CONF_PATH))

install: all
	install -d "$(DESTDIR)$(dir $(SBIN_PATH))" "$(CONF_DIR)" "$(DESTDIR)$(PREFIX)/html" \
		"$(DESTDIR)$(dir $(ERROR_LOG_PATH))" "$(DESTDIR)$(dir $(HTTP_LOG_PATH))" \
		"$(DESTDIR)$(MAN_PATH)/man5" "$(DESTDIR)$(MAN_PATH)/man7" "$(DESTDIR)$(MAN_PATH)/man8"
	install -m 755 $(BUILD)/weir "$(DESTDIR)$(SBIN_PATH).new"
	mv "$(DESTDIR)$(SBIN_PATH).new" "$(DESTDIR)$(SBIN_PATH)"
	ln -sf $(notdir $(SBIN_PATH)) "$(DESTDIR)$(dir $(SBIN_PATH))weirctl"
	install -m 644 conf.d/mime.types conf.d/koi-utf conf.d/koi-win conf.d/win-utf "$(CONF_DIR)"
	install -m 644 conf.d/weir.conf "$(DESTDIR)$(CONF_PATH).default"
	[ -e "$(DESTDIR)$(CONF_PATH)" ] || install -m 644 conf.d/weir.conf "$(DESTDIR)$(CONF_PATH)"
	for f in conf.d/html/*; do [ -e "$(DESTDIR)$(PREFIX)/html/$${f##*/}" ] || \
		install -m 644 $$f "$(DESTDIR)$(PREFIX)/html"; done
	for f in man/*.[578]; do install -m 644 $$f "$(DESTDIR)$(MAN_PATH)/man$${f##*.}"; done

# Leaves what somebody may have changed: configuration, pages, logs.
uninstall:
	rm -f "$(DESTDIR)$(SBIN_PATH)" "$(DESTDIR)$(dir $(SBIN_PATH))weirctl" "$(DESTDIR)$(CONF_PATH).default"
	for f in man/*.[578]; do rm -f "$(DESTDIR)$(MAN_PATH)/man$${f##*.}/$${f##*/}"; done

dist:
	git archive --format=tar.gz --prefix=weir-$(VERSION)/ -o weir-$(VERSION).tar.gz HEAD

-include $(OBJ:.o=.d) $(UNIT:=.d) $(FUZZ:=.d)
endif
