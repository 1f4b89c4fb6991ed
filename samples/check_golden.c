/* Are the outputs of a device the source's? Judges them by a bundle's golden folder, in C99 and nothing else.
 *
 *     cc -o check_golden samples/check_golden.c -lm
 *     ./check_golden BUNDLE/golden/golden.json 0 BUNDLE/golden/EXPECTED.bin outputs.bin
 *
 * outputs.bin holds what the device gave for output 0: float32, all samples of the input's file one after another.
 * golden.json names for each artifact the file of its inputs and the one of its expected outputs. Exit code 0: passed.
 * On a machine whose numbers are little-endian, as the files are.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SAMPLES = 64 };

static char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END)) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    *bytes = (size_t)ftell(file);
    rewind(file);
    char *content = calloc(*bytes + 1, 1);
    if (!content || fread(content, 1, *bytes, file) != *bytes) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    fclose(file);
    return content;
}

/* What follows the next "key": in the text; NULL where there is none. */
static const char *after(const char *text, const char *key) {
    const char *found = text ? strstr(text, key) : NULL;
    return found ? found + strlen(key) + 1 : NULL;
}

/* The numbers of a list "[a, b, ...]"; how many there are. */
static int read_list(const char *text, double *numbers) {
    int count = 0;
    for (text = text ? strchr(text, '[') : NULL; text && *text != ']' && count < MOST_SAMPLES; count++) {
        char *end;
        numbers[count] = strtod(text + 1, &end);
        text = strpbrk(end, ",]");
    }
    return count;
}

/* The Euclidean distance of one sample, by the rule in golden.json. */
static double distance(const float *got, const double *want, size_t size, int logarithms) {
    double sum = 0;
    for (size_t k = 0; k < size; k++) {
        if (!isfinite(got[k]) || (logarithms && want[k] < 1e-30 && got[k] >= 1e-20)) {
            return INFINITY;
        }
        double difference = 0;
        if (!logarithms) {
            difference = got[k] - want[k];
        } else if (want[k] >= 1e-30) {
            difference = log(got[k]) - log(want[k]);
        }
        sum += difference * difference;
    }
    return isnan(sum) ? INFINITY : sqrt(sum);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: check_golden golden.json OUTPUT EXPECTED.bin OUTPUTS.bin\n");
        return 2;
    }
    size_t bytes, expected_bytes, output_bytes;
    char *json = read_file(words[1], &bytes);
    double *want = (double *)(void *)read_file(words[3], &expected_bytes);
    float *got = (float *)(void *)read_file(words[4], &output_bytes);

    const char *limits[] = {after(json, "\"limit\""), after(json, "\"median_limit\"")};
    const char *output = json;
    for (int k = 0; output && k <= atoi(words[2]); k++) {
        output = after(output, "\"compare\"");
    }
    double noise[MOST_SAMPLES], ratio[MOST_SAMPLES];
    int samples = output ? read_list(after(output, "\"noise\""), noise) : 0;
    if (!limits[0] || !limits[1] || samples == 0) {
        fprintf(stderr, "%s describes no output %s\n", words[1], words[2]);
        return 2;
    }
    double limit = strtod(limits[0], NULL);
    double median_limit = strtod(limits[1], NULL); /* null, as there are few samples, reads as 0 */
    int logarithms = strncmp(strchr(output, '"'), "\"log\"", 5) == 0;
    size_t size = expected_bytes / sizeof *want / (size_t)samples;
    if (output_bytes != size * (size_t)samples * sizeof *got) {
        printf("mismatch: %zu bytes of outputs, and %zu were expected\n", output_bytes, size * (size_t)samples * sizeof *got);
        return 1;
    }

    int wrong = 0;
    for (int i = 0; i < samples; i++) {
        double e = distance(got + (size_t)i * size, want + (size_t)i * size, size, logarithms);
        ratio[i] = e == 0 ? 0 : e / noise[i];
        wrong += !(ratio[i] <= limit);
        printf("sample %d: %.3g times the noise away (limit %g)\n", i, ratio[i], limit);
    }
    qsort(ratio, (size_t)samples, sizeof *ratio, ascending);
    double median = (ratio[(samples - 1) / 2] + ratio[samples / 2]) / 2;
    int passed = !wrong && (median_limit == 0 || median <= median_limit);
    printf("%s: median %.3g (limit %g)\n", passed ? "passed" : "mismatch", median, median_limit ? median_limit : limit);
    free(json);
    free(want);
    free(got);
    return !passed;
}
