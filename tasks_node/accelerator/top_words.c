/* Counts pieces of text for top_words.py: what stands between the bytes that its table makes
 * spaces. The library is loaded by ctypes; the text must hold no NUL byte, which fills up keys.
 *
 * Pieces of at most 16 bytes lie in their slot, so that counting one costs one cache miss; slots
 * are prefetched 64 pieces ahead. Longer ones lie in an arena. Little-endian machines only.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 2
#define AHEAD 64
#define SHORT 16
#define FIRST_BITS 14
#define PADDING 32

typedef struct { uint64_t low, high, count; } Slot;
typedef struct { uint64_t hash, offset, length, count; } LongSlot;
typedef struct { uint64_t low, high, hash; } Key;

typedef struct {
    unsigned char table[256];
    Slot *slots;
    LongSlot *long_slots;
    size_t bits, used, long_bits, long_used;
    char *arena;
    size_t arena_size, arena_used, short_bytes;
    unsigned char *text;
    size_t text_size;
    size_t taken, long_taken;
} Kernel;

static uint64_t mixed(uint64_t low, uint64_t high) {
    uint64_t h = (low ^ (high >> 32 | high << 32)) * 0x9E3779B97F4A7C15u;
    h ^= (high + (h >> 29)) * 0xC2B2AE3D27D4EB4Fu;
    return h * 0x9E3779B97F4A7C15u;
}

static uint64_t hash_of(const unsigned char *text, size_t length) {
    uint64_t h = length;
    for (; length >= 8; text += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        h = mixed(h ^ word, word);
    }
    for (; length; text++, length--) h = (h ^ *text) * 0x100000001B3u;
    return mixed(h, h >> 7);
}

static int grow(Kernel *k) {
    size_t bits = k->bits + 1, mask = ((size_t)1 << bits) - 1;
    Slot *slots = calloc(mask + 1, sizeof *slots);
    if (!slots) return -1;
    for (size_t i = 0; i < (size_t)1 << k->bits; i++) {
        if (!k->slots[i].count) continue;
        size_t at = mixed(k->slots[i].low, k->slots[i].high) >> (64 - bits);
        while (slots[at].count) at = (at + 1) & mask;
        slots[at] = k->slots[i];
    }
    free(k->slots);
    k->slots = slots;
    k->bits = bits;
    return 0;
}

static int grow_long(Kernel *k) {
    size_t bits = k->long_bits + 1, mask = ((size_t)1 << bits) - 1;
    LongSlot *slots = calloc(mask + 1, sizeof *slots);
    if (!slots) return -1;
    for (size_t i = 0; i < (size_t)1 << k->long_bits; i++) {
        if (!k->long_slots[i].count) continue;
        size_t at = k->long_slots[i].hash >> (64 - bits);
        while (slots[at].count) at = (at + 1) & mask;
        slots[at] = k->long_slots[i];
    }
    free(k->long_slots);
    k->long_slots = slots;
    k->long_bits = bits;
    return 0;
}

static int add_long(Kernel *k, const unsigned char *text, size_t length) {
    uint64_t hash = hash_of(text, length);
    size_t mask = ((size_t)1 << k->long_bits) - 1, at = hash >> (64 - k->long_bits);
    for (; k->long_slots[at].count; at = (at + 1) & mask) {
        LongSlot *slot = &k->long_slots[at];
        if (slot->hash == hash && slot->length == length &&
            !memcmp(k->arena + slot->offset, text, length)) {
            slot->count++;
            return 0;
        }
    }
    if (k->arena_used + length > k->arena_size) {
        size_t size = 2 * k->arena_size + length;
        char *arena = realloc(k->arena, size);
        if (!arena) return -1;
        k->arena = arena;
        k->arena_size = size;
    }
    memcpy(k->arena + k->arena_used, text, length);
    k->long_slots[at] = (LongSlot){hash, k->arena_used, length, 1};
    k->arena_used += length;
    return ++k->long_used * 2 > mask ? grow_long(k) : 0;
}

static size_t length_of(uint64_t low, uint64_t high) {
    if (high) return 16 - (size_t)__builtin_clzll(high) / 8;
    return 8 - (size_t)__builtin_clzll(low) / 8;
}

static int add_short(Kernel *k, const Key *keys, size_t count) {
    /* There is room for all of them: the table is never more than half full before. */
    size_t mask = ((size_t)1 << k->bits) - 1, shift = 64 - k->bits;
    for (size_t i = 0; i < count; i++) {
        size_t at = keys[i].hash >> shift;
        while (k->slots[at].count &&
               (k->slots[at].low != keys[i].low || k->slots[at].high != keys[i].high))
            at = (at + 1) & mask;
        if (!k->slots[at].count) {
            k->slots[at].low = keys[i].low;
            k->slots[at].high = keys[i].high;
            k->used++;
            k->short_bytes += length_of(keys[i].low, keys[i].high);
        }
        k->slots[at].count++;
    }
    return k->used * 2 > mask ? grow(k) : 0;
}

/* The length of the piece at the text, which a space ends. */
static size_t piece_length(const unsigned char *text) {
    const unsigned char *at = text;
    for (;; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        word ^= 0x2020202020202020u;
        uint64_t zeros = (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
        if (zeros) return (size_t)(at - text) + (size_t)__builtin_ctzll(zeros) / 8;
    }
}

static Key key_of(const unsigned char *text, size_t length) {
    Key key;
    memcpy(&key.low, text, 8);
    memcpy(&key.high, text + 8, 8);
    if (length < 8) {
        key.low &= ((uint64_t)1 << 8 * length) - 1;
        key.high = 0;
    } else if (length < 16) {
        key.high &= ((uint64_t)1 << 8 * (length - 8)) - 1;
    }
    key.hash = mixed(key.low, key.high);
    return key;
}

static unsigned char *translated(Kernel *k, const unsigned char *text, size_t size) {
    if (size + PADDING > k->text_size) {
        free(k->text);
        k->text_size = size + PADDING;
        if (!(k->text = malloc(k->text_size))) {
            k->text_size = 0;
            return NULL;
        }
    }
    for (size_t i = 0; i < size; i++) k->text[i] = k->table[text[i]];
    memset(k->text + size, ' ', PADDING);
    return k->text;
}

int top_words_version(void) { return VERSION; }

void top_words_close(Kernel *k) {
    if (!k) return;
    free(k->slots);
    free(k->long_slots);
    free(k->arena);
    free(k->text);
    free(k);
}

Kernel *top_words_open(const unsigned char *table) {
    Kernel *k = calloc(1, sizeof *k);
    if (!k) return NULL;
    memcpy(k->table, table, sizeof k->table);
    k->bits = FIRST_BITS;
    k->long_bits = FIRST_BITS - 4;
    k->slots = calloc((size_t)1 << k->bits, sizeof *k->slots);
    k->long_slots = calloc((size_t)1 << k->long_bits, sizeof *k->long_slots);
    if (!k->slots || !k->long_slots) {
        top_words_close(k);
        return NULL;
    }
    return k;
}

/* Count the pieces of a text; return the weight of what is held, or -1 without memory. */
long long top_words_add(Kernel *k, const unsigned char *raw, size_t size) {
    const unsigned char *text = translated(k, raw, size);
    if (!text) return -1;
    const unsigned char *end = text + size;
    Key keys[AHEAD];
    while (text < end) {
        size_t count = 0, shift = 64 - k->bits;
        while (count < AHEAD && text < end) {
            size_t length = piece_length(text);
            if (length > SHORT) {
                if (add_long(k, text, length)) return -1;
            } else if (length) {
                keys[count] = key_of(text, length);
                __builtin_prefetch(&k->slots[keys[count].hash >> shift], 1);
                count++;
            }
            text += length + 1;
        }
        if (add_short(k, keys, count)) return -1;
    }
    return (long long)(k->used + k->long_used + (k->short_bytes + k->arena_used) / 64);
}

static int is_plain(const unsigned char *piece, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char letter = piece[i] | 0x20;
        if ((letter < 'a' || letter > 'z') && (piece[i] < '0' || piece[i] > '9')) return 0;
    }
    return 1;
}

typedef struct {
    int plain;
    char *text;
    size_t size, used;
    uint64_t *counts;
    size_t room, number;
} Batch;

/* Add a piece to the batch if it is of the kind wanted; return 0 if there is no room. */
static int put(Batch *b, const void *piece, size_t length, uint64_t count) {
    if (!count || is_plain(piece, length) != b->plain) return 1;
    if (b->number == b->room || b->size - b->used < length + 2) return 0;
    memcpy(b->text + b->used, piece, length);
    b->used += length;
    b->text[b->used++] = '\n';
    b->counts[b->number++] = count;
    return 1;
}

/* Write pieces, a line each, up to a NUL byte, and their counts beside; return how many: first of
 * those that are ASCII letters and digits (`plain`), then of the others. 0 ends a kind; after the
 * others nothing is held any more. There must be room for the longest piece. */
size_t top_words_take(Kernel *k, int plain, char *out, size_t size, uint64_t *counts, size_t room) {
    Batch b = {plain, out, size, 0, counts, room, 0};
    for (; k->taken < (size_t)1 << k->bits; k->taken++) {
        Slot *slot = &k->slots[k->taken];
        size_t length = slot->count ? length_of(slot->low, slot->high) : 0;
        if (!put(&b, slot, length, slot->count)) break;
    }
    for (; k->long_taken < (size_t)1 << k->long_bits; k->long_taken++) {
        LongSlot *slot = &k->long_slots[k->long_taken];
        if (!put(&b, k->arena + slot->offset, slot->length, slot->count)) break;
    }
    out[b.used] = 0;
    if (b.number) return b.number;
    k->taken = k->long_taken = 0;
    if (plain) return 0;
    memset(k->slots, 0, sizeof *k->slots << k->bits);
    memset(k->long_slots, 0, sizeof *k->long_slots << k->long_bits);
    k->used = k->long_used = k->arena_used = k->short_bytes = 0;
    return 0;
}
