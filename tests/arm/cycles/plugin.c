/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin for qemu-user: how often every stretch of instructions runs between two marks, and what its data accesses
 * meet in two simulated caches (least recently used, lines of 64 bytes, nothing fetched ahead).
 *
 *   -plugin plugin.so,out=FILE,l1=KIB,l1ways=N,l2=KIB,l2ways=N
 *
 * A mark is a system call that no kernel has: argument 1 starts, 2 writes FILE. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define LINE 64

PUBLIC int qemu_plugin_version = 1;

typedef struct stretch { struct stretch *next; uint64_t address, length, count; } stretch;
typedef struct { long sets, ways; uint64_t *line, *used, misses; } cache;

static stretch *all;
static cache l1, l2;
static uint64_t now;
static uint8_t *seen;            /* one bit per line of the address space below 4 GiB, hashed */
static uint64_t lines;
static const char *path;

static cache make_cache(long kib, long ways)
{
    cache c = {kib * 1024 / LINE / ways, ways, NULL, NULL, 0};
    c.line = calloc((size_t)(c.sets * ways), sizeof *c.line);
    c.used = calloc((size_t)(c.sets * ways), sizeof *c.used);
    return c;
}

static int hit(cache *c, uint64_t line)
{
    const long first = (long)(line % (uint64_t)c->sets) * c->ways;
    long oldest = first;
    for (long i = first; i < first + c->ways; i++) {
        if (c->line[i] == line) { c->used[i] = ++now; return 1; }
        if (c->used[i] < c->used[oldest]) oldest = i;
    }
    c->line[oldest] = line;
    c->used[oldest] = ++now;
    c->misses++;
    return 0;
}

static void count_line(uint64_t line)
{
    const uint64_t place = (line * 0x9E3779B97F4A7C15ull) >> 38;
    if (seen[place / 8] >> place % 8 & 1) return;
    seen[place / 8] |= (uint8_t)(1 << place % 8);
    lines++;
}

static void access_memory(unsigned cpu, uint32_t info, uint64_t address, void *unused)
{
    const uint64_t line = address / LINE;
    (void)cpu, (void)info, (void)unused;
    count_line(line);
    if (!hit(&l1, line)) hit(&l2, line);
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
    stretch *s = calloc(1, sizeof *s);
    (void)id;
    *s = (stretch){all, qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb), 0};
    all = s;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &s->count, 1);
    for (size_t i = 0; i < s->length; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), access_memory, NO_REGISTERS, READ_AND_WRITE, NULL);
}

static void start(void)
{
    for (stretch *s = all; s; s = s->next) s->count = 0;
    l1.misses = l2.misses = lines = 0;
    memset(seen, 0, 1 << 23);
}

static void finish(void)
{
    FILE *f = fopen(path, "w");
    if (!f) { perror(path); exit(1); }
    fprintf(f, "cache %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", l1.misses, l2.misses, lines);
    for (const stretch *s = all; s; s = s->next)
        if (s->count) fprintf(f, "run %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", s->address, s->length, s->count);
    fclose(f);
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                   uint64_t g, uint64_t h, uint64_t i)
{
    (void)id, (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)g, (void)h, (void)i;
    if (number == MARK) a == 1 ? start() : finish();
}

static long value(int argc, char **argv, const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], name, n) && argv[i][n] == '=') return strtol(argv[i] + n + 1, NULL, 10);
    fprintf(stderr, "plugin: %s is missing\n", name);
    exit(1);
}

PUBLIC int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4)) path = strdup(argv[i] + 4);
    l1 = make_cache(value(argc, argv, "l1"), value(argc, argv, "l1ways"));
    l2 = make_cache(value(argc, argv, "l2"), value(argc, argv, "l2ways"));
    seen = calloc(1 << 23, 1);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
