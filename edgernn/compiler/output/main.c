/* Reads frames from standard input and writes answers to standard output, as raw numbers (float32; tokens: int64).
 *
 *     make && ./main < frames.bin > answers.bin
 */

#include <stdio.h>

#include "@NAME@.h"

static unsigned char memory[@UPPER@_SIZE];

int main(void) {
@BUFFERS@
    @NAME@ *m = @NAME@_create(memory, sizeof memory);
    if (!m) return 1;
    while (@READS@) {
        int answered = @NAME@_step(m, @ARGUMENTS@);
        if (answered < 0) {
            fprintf(stderr, "input %d holds a number that it must not\n", -answered);
            return 1;
        }
        if (answered && !(@WRITES@ && fflush(stdout) == 0)) return 1;
    }
    return 0;
}
