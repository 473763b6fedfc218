/* @NAME@: a recurrent network that answers one frame at a time. Made by edgernn @VERSION@ for @TARGET@.
 * The processor needs @NEEDS@.
 *
 * Nothing here allocates, locks, throws or keeps a variable of its own: all that changes is in the memory that you give.
 * Floats round to nearest, as they do unless a program changes that: another mode gives other answers.
 * One thread at a time may use an instance; instances are independent of each other and share the weights.
 *
@beside:
 * Weights and program are in @NAME@.edgernn, of which many instances can share one copy in memory.
 *
@end
 *     static unsigned char memory[@UPPER@_SIZE];
 *     @NAME@_stream *m = @NAME@_create(@CREATED@);
 *     if (@NAME@_step(m, @ARGUMENTS@) == 1) ... the answer is there
 *
@DESCRIPTION@
 */

#ifndef @UPPER@_H
#define @UPPER@_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define @UPPER@_API __attribute__((visibility("default")))

#define @UPPER@_SIZE @SIZE@        /* bytes of memory that an instance needs */
#define @UPPER@_STATE_SIZE @STATE_SIZE@  /* bytes of a saved state */
@SIZES@

/* What @NAME@_load answers for bytes that it refuses. */
enum {
    @UPPER@_NO_STATE = -1,         /* not a saved state */
    @UPPER@_NEWER_STATE = -2,      /* saved by a newer edgernn */
    @UPPER@_DAMAGED_STATE = -3,    /* the checksum does not fit */
    @UPPER@_OTHER_STATE = -4,      /* of another model */
    @UPPER@_IMPOSSIBLE_STATE = -5  /* no instance can be in it */
};

@beside:
/* What @NAME@_check answers for a file that it refuses. */
enum {
    @UPPER@_NO_FILE = -1,         /* not an .edgernn file with a built model in it */
    @UPPER@_NEWER_FILE = -2,      /* built by a newer edgernn */
    @UPPER@_DAMAGED_FILE = -3,    /* the checksum does not fit */
    @UPPER@_OTHER_FILE = -4,      /* built for another target, or of a model of another form */
    @UPPER@_MISALIGNED_FILE = -5  /* it does not begin at a multiple of 64 in memory */
};

@end
typedef struct @NAME@_stream @NAME@_stream;

/* Bytes of memory that an instance needs: @UPPER@_SIZE, for callers that cannot read this header. */
@UPPER@_API size_t @NAME@_size(void);

@inside:
/* An instance in its initial state, inside the given memory, which must stay where it is. NULL where that is too small.
 * The memory may be aligned as it likes. There is nothing to free. */
@end
@beside:
/* Whether this library can run the model in these bytes, those of @NAME@.edgernn: 0. Else one of the numbers above.
 * What it reads there is looked at, which is the file's first part; the checksum tells damage, not malice: trust the
 * file as you trust the library. The bytes begin at a multiple of 64 (mmap gives that). */
@UPPER@_API int @NAME@_check(const void *file, size_t size);

/* An instance in its initial state, inside the given memory, of the model in the file: both must stay where they are.
 * The memory may be aligned as it likes. There is nothing to free. NULL where the memory is too small, or the file is
 * not one that @NAME@_check accepts. */
@end
@UPPER@_API @NAME@_stream *@NAME@_create(@CREATES@);

/* One frame in. 1: an answer was written; 0: none is due yet; -n: the n-th input holds a number that is not finite, or a
 * token outside its range, and nothing has changed. */
@UPPER@_API int @NAME@_step(@NAME@_stream *m, @PARAMETERS@);

/* Many frames, one after the other: the same as that many steps. How many answers were written, or -n as for step:
 * then no frame was run. */
@UPPER@_API int64_t @NAME@_run(@NAME@_stream *m, size_t frames, @PARAMETERS@);

/* How many answers that many frames would bring now. */
@UPPER@_API size_t @NAME@_answers(const @NAME@_stream *m, size_t frames);

/* Back to the initial state. */
@UPPER@_API void @NAME@_reset(@NAME@_stream *m);

/* Writes the state, @UPPER@_STATE_SIZE bytes, the same on every machine. */
@UPPER@_API void @NAME@_save(const @NAME@_stream *m, void *blob);

/* Goes on from a saved state, bit for bit: 0. Else one of the numbers above, and nothing has changed. */
@UPPER@_API int @NAME@_load(@NAME@_stream *m, const void *blob, size_t bytes);

/* Which edgernn made this, of which model, for which target. */
@UPPER@_API const char *@NAME@_version(void);

#ifdef __cplusplus
}
#endif

#endif
