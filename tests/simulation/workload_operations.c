#include "tests/simulation/workload_operations.h"

#include "base/alloc.h"
#include "proto/record.pb-c.h"

#include <stdlib.h>

uint64_t workload_operations_now_us(const struct workload_client *self)
{
    return self->cluster->timeline->now_us;
}

struct operation *workload_operations_at(struct list *link)
{
    return CONTAINER_OF(link, struct operation, link);
}

void workload_operations_release(struct operation *operation)
{
    if (operation != NULL) {
        buffer_release(&operation->body);
        free(operation);
    }
}

void workload_operations_free(struct workload_client *self, struct operation *operation)
{
    list_remove(&operation->link);
    self->count--;
    workload_operations_release(operation);
}

struct operation *workload_operations_new(struct workload_client *self, enum operation_kind kind)
{
    struct operation *operation = xcalloc(1, sizeof *operation);

    operation->kind = kind;
    operation->call = RECORDING_NO_CALL;
    operation->asked_us = workload_operations_now_us(self);
    list_append(&self->operations, &operation->link);
    self->count++;
    return operation;
}

struct recording *workload_operations_recording(const struct workload_client *self)
{
    return truth_recording(self->truth);
}

struct recording_caller workload_operations_caller(const struct workload_client *self)
{
    return (struct recording_caller){.client = self->number, .session = self->session};
}

const struct cluster_server *workload_operations_server(const struct workload_client *self)
{
    return self->connection != NULL ? self->connection->server : &self->cluster->servers[0];
}

void workload_operations_confirm(struct workload_client *self)
{
    uint64_t lowest = self->sequence + 1;

    LIST_FOR_EACH (link, &self->operations) {
        struct operation *operation = workload_operations_at(link);

        if (operation->kind == OPERATION_WRITE && operation->write.sequence != 0 &&
            operation->write.sequence < lowest) {
            lowest = operation->write.sequence;
        }
    }
    self->confirmed = lowest - 1;
}

void workload_operations_forget_old(struct workload_client *self)
{
    workload_operations_release(self->old);
    self->old = NULL;
}

void workload_operations_leave_session(struct workload_client *self)
{
    self->session = 0;
    self->sequence = 0;
    self->confirmed = 0;
    self->told = 0;
    self->closing = false;
    self->broken = true;
    workload_operations_forget_old(self);
    LIST_FOR_EACH (link, &self->operations) {
        struct operation *operation = workload_operations_at(link);

        if (operation->write.sequence != 0) {
            /* Answers for it may still come on this connection: then nothing waits for them. */
            self->counts->unknown += operation->kind == OPERATION_WRITE;
            workload_operations_free(self, operation);
        }
    }
}

void workload_operations_lose_session(struct workload_client *self)
{
    if (self->session != 0) {
        struct recording_caller told = workload_operations_caller(self);

        truth_on_ended(self->truth, workload_operations_server(self), self->session);
        recording_ended(workload_operations_recording(self), &told, false,
                        workload_operations_now_us(self));
        self->counts->sessions_lost++;
    }
    workload_operations_leave_session(self);
}
