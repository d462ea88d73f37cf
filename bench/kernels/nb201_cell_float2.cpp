#define REAL float
#define WIDTH 2
#include "nb201_cell.h"
