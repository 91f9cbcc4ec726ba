#include "client/client_request.h"

#include <stdlib.h>

struct client_request *client_request_new(void)
{
    struct client_request *request = client_alloc(sizeof *request);

    if (request == NULL) {
        return NULL;
    }
    request->result = client_result_new();
    if (request->result == NULL) {
        free(request);
        return NULL;
    }
    list_init(&request->link);
    list_init(&request->numbered_link);
    return request;
}

void client_request_free(struct client_request *request)
{
    if (request == NULL) {
        return;
    }
    if (request->has_timer) {
        (void)event_del(&request->timer);
    }
    client_result_free(request->result);
    free(request->body.data);
    free(request);
}
