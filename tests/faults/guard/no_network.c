/* Preloaded into a command: ends it with status 99 where any part of it, native libraries included, connects or sends
 * to a network address or asks for a host's. (Not where it makes a socket: libuuid does, to read the machine's own.) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(const char *message) {
    (void)!write(2, message, strlen(message));
    _exit(99);
}

static int is_network(const struct sockaddr *address) {
    return address && (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

int connect(int descriptor, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    if (is_network(address)) end("guard: connect\n");
    return real(descriptor, address, length);
}

ssize_t sendto(int descriptor, const void *data, size_t size, int flags, const struct sockaddr *address,
               socklen_t length) {
    ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
    if (is_network(address)) end("guard: sendto\n");
    return real(descriptor, data, size, flags, address, length);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    end("guard: getaddrinfo\n");
    return EAI_FAIL;
}
