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

/* Its own hashes in its own time: who ends first does not idle beside the last. */
static void *work(void *rate) {
    struct crypt_data data = {0};
    long count = 0;
    double start = now();
    while (now() < end)
        if (crypt_r("plum-tram-lantern-nine", setting, &data) != NULL) count++;
    *(double *)rate = (double)count / (now() - start);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    double rates[256] = {0}, sum = 0;
    pthread_t threads[256];
    if (cores > 256) cores = 256;
    snprintf(setting, sizeof setting, "$2b$%02d$abcdefghijklmnopqrstuu", atoi(argv[1]));
    end = now() + atof(argv[2]);
    for (long i = 0; i < cores; i++) pthread_create(&threads[i], NULL, work, &rates[i]);
    for (long i = 0; i < cores; i++) {
        pthread_join(threads[i], NULL);
        sum += rates[i];
    }
    printf("%.3f\n", sum);
    return 0;
}
