/* How many passwords libxcrypt hashes with all cores: bcrypt-floor ROUNDS SECONDS prints hashes a second. */
#include <crypt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double end;
static char setting[64];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *work(void *count) {
    struct crypt_data data = {0};
    while (now() < end)
        if (crypt_r("plum-tram-lantern-nine", setting, &data) != NULL) ++*(long *)count;
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    long cores = sysconf(_SC_NPROCESSORS_ONLN), counts[256] = {0}, sum = 0;
    pthread_t threads[256];
    if (cores > 256) cores = 256;
    snprintf(setting, sizeof setting, "$2b$%02d$abcdefghijklmnopqrstuu", atoi(argv[1]));
    double start = now();
    end = start + atof(argv[2]);
    for (long i = 0; i < cores; i++) pthread_create(&threads[i], NULL, work, &counts[i]);
    for (long i = 0; i < cores; i++) {
        pthread_join(threads[i], NULL);
        sum += counts[i];
    }
    printf("%.3f\n", (double)sum / (now() - start));
    return 0;
}
