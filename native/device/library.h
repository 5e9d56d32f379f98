/* The border to a library for one kind of card.
 *
 * Owns the table of functions that such a library gives. Leaves the choice to card.cpp. Must stay true: plain C, since
 * the other side is built by another compiler; a library that was built for another table is refused; every function
 * but `destroy` returns an error code of edgesleep.h, and says in words what failed.
 */
#ifndef EDGESLEEP_LIBRARY_H
#define EDGESLEEP_LIBRARY_H

#include "../edgesleep.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ES_LIBRARY_VERSION = 1, ES_WORDS = 256 };

typedef struct {
    int32_t version;
    const char *name;
    /* The card's name in `words`, or why there is none. */
    int (*probe)(char *words);
    int (*create)(const es_shape *shape, const es_layer *layers, const es_matrix *embedding, const es_matrix *head,
                  const float *norm, int exact, void **network, char *words);
    void (*destroy)(void *network);
    /* As es_network_attach, _round and _learn, with all arguments checked. */
    int (*attach)(void *network, const es_trained *trained, char *words);
    int (*round)(void *network, int32_t first, int32_t last, char *words);
    int (*learn)(void *network, const es_batch *batch, const es_targets *targets, float scale, float *losses,
                 char *words);
    /* The packed blocks that one matrix is used with, as large as in the file. */
    int (*rounded)(void *network, int32_t layer, int32_t which, uint8_t *out, char *words);
} es_library;

/* What a library exports: `es_library_table`. */
typedef const es_library *(*es_library_entry)(void);

#ifdef __cplusplus
}
#endif
#endif
