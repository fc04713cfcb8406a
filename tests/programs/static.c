/* A static program: the loader never comes near it. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    void *block = malloc(100);
    printf("static %d\n", block != NULL);
    return 4;
}
