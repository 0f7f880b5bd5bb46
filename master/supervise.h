#include "master/master.h"
void supervise_reap(struct master *m);
