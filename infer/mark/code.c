// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/code.h"
#include <fec.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum { RATE = 3, TAIL = 8, CRC = 16, LONG = 64, SHORT = 16, MOST = LONG + CRC + TAIL };

// CCITT, from all ones.
static unsigned crc_of(uint64_t payload, int bits)
{
    unsigned c = 0xffff;
    for (int i = bits - 1; i >= 0; i--) {
        const unsigned top = c >> 15 ^ (unsigned)(payload >> i & 1);
        c = c << 1 & 0xffff;
        if (top) c ^= 0x1021;
    }
    return c;
}

static unsigned odd(unsigned x)
{
    return (unsigned)__builtin_parity(x);
}

void tk_mark_encode(tk_mark_message m, int8_t sign[TK_MARK_SIGNS])
{
    static const unsigned poly[RATE] = {V39POLYA, V39POLYB, V39POLYC};
    const int bits = m.small ? SHORT : LONG, n = bits + CRC + TAIL;
    const unsigned crc = crc_of(m.payload, bits);
    int8_t once[MOST * RATE];
    unsigned state = 0;
    for (int i = 0; i < n; i++) {
        unsigned bit = 0;
        if (i < bits)
            bit = (unsigned)(m.payload >> (bits - 1 - i) & 1);
        else if (i < bits + CRC)
            bit = crc >> (bits + CRC - 1 - i) & 1;
        state = state << 1 | bit;
        for (int k = 0; k < RATE; k++) once[i * RATE + k] = odd(state & poly[k]) ? 1 : -1;
    }
    for (int i = 0; i < TK_MARK_SIGNS; i++) sign[i] = once[i % (n * RATE)];
}

static uint64_t take_bits(const unsigned char *data, int first, int n)
{
    uint64_t x = 0;
    for (int i = first; i < first + n; i++) x = x << 1 | (data[i / 8] >> (7 - i % 8) & 1);
    return x;
}

static bool decode_size(const float soft[TK_MARK_SIGNS], bool small, tk_mark_message *m)
{
    const int bits = small ? SHORT : LONG, n = bits + CRC + TAIL;
    float sum[MOST * RATE] = {0};
    unsigned char symbol[MOST * RATE], data[MOST / 8];
    for (int i = 0; i < TK_MARK_SIGNS; i++) sum[i % (n * RATE)] += soft[i];
    for (int i = 0; i < n * RATE; i++)
        symbol[i] = (unsigned char)lrintf(127.5f + 127.5f * fminf(fmaxf(sum[i] / 6, -1), 1));
    void *v = create_viterbi39(n);
    if (!v) return false;
    init_viterbi39(v, 0);
    update_viterbi39_blk(v, symbol, n);
    chainback_viterbi39(v, data, (unsigned)(bits + CRC), 0);
    delete_viterbi39(v);
    const uint64_t payload = take_bits(data, 0, bits);
    if (take_bits(data, bits, CRC) != crc_of(payload, bits)) return false;
    *m = (tk_mark_message){payload, small};
    return true;
}

bool tk_mark_decode(const float soft[TK_MARK_SIGNS], tk_mark_message *m)
{
    return decode_size(soft, false, m) || decode_size(soft, true, m);
}

const char *tk_mark_say(const tk_mark_message *m, char digits[TK_MARK_DIGITS])
{
    snprintf(digits, TK_MARK_DIGITS, "%0*" PRIx64, m->small ? 4 : 16, m->payload);
    return digits;
}
