#define REAL float
#define WIDTH 4
#include "nb201_cell.h"
