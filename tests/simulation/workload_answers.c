#include "tests/simulation/workload_answers.h"

#include "proto/record.pb-c.h"
#include "tests/simulation/writes.h"

#include <inttypes.h>
#include <string.h>

static void remember_made(struct workload_client *self, const struct state_result *result)
{
    for (size_t i = 0; i < result->operation_count; i++) {
        if (result->operations[i].created) {
            buffer_clear(&self->made);
            buffer_put(&self->made, result->operations[i].path);
        }
    }
}

static void finish_write(struct workload_client *self, struct operation *operation)
{
    if (self->probes_left == 2) {
        self->probes_left -= operation->done;
    }
    if (operation->write.sequence == 0 || !operation->done) {
        workload_operations_free(self, operation);
        return;
    }
    list_remove(&operation->link);
    self->count--;
    workload_operations_forget_old(self);
    self->old = operation;
    workload_operations_confirm(self);
}

/* Answered by the state. */
static void
on_outcome(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    switch ((int)reply->code) {
    case OP_OK:
        truth_on_acknowledged(self->truth, workload_operations_server(self), &operation->write,
                              reply->result);
        recording_end_write(workload_operations_recording(self), operation->call, reply->code,
                            reply->result);
        remember_made(self, reply->result);
        finish_write(self, operation);
        break;
    case OP_SESSION_EXPIRED:
        workload_operations_lose_session(self);
        break;
    case OP_SESSION_MOVED:
    case OP_SEQUENCE_GAP:
        self->broken = true;
        break;
    case OP_SEQUENCE_FORGOTTEN:
    case OP_TOO_MANY_UNCONFIRMED:
    case OP_UNREADABLE:
    case OP_LIMIT:
    case OP_BAD_ARGUMENTS:
    case OP_NO_SESSION:
        cluster_violation(workload_operations_server(self),
                          "client %" PRIu64 ": write %" PRIu64 " answered by %s", self->number,
                          operation->write.serial, op_error_text((enum op_error)reply->code));
    default:
        truth_on_refused(self->truth, workload_operations_server(self), &operation->write,
                         reply->result);
        recording_end_write(workload_operations_recording(self), operation->call, reply->code,
                            reply->result);
        finish_write(self, operation);
        break;
    }
}

static void
on_write(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    if ((int)reply->code < 100) {
        operation->done = reply->result != NULL;
        on_outcome(self, operation, reply);
    } else if (operation->write.sequence != 0) {
        self->broken = true; /* sent again after attaching elsewhere */
    } else if (reply->code == CLIENT__CODE__UNKNOWN_OUTCOME) {
        self->counts->unknown++;
        recording_end_write(workload_operations_recording(self), operation->call, reply->code,
                            NULL);
        finish_write(self, operation);
    } else {
        truth_on_refused(self->truth, workload_operations_server(self), &operation->write, NULL);
        recording_end_write(workload_operations_recording(self), operation->call, reply->code,
                            NULL);
        finish_write(self, operation);
    }
}

/* The same answer as the first time; one that was confirmed need not be known any more. */
static void
on_again(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    const struct truth_write *write = &operation->write;

    if ((int)reply->code == OP_SEQUENCE_FORGOTTEN && write->sequence > self->told) {
        cluster_violation(workload_operations_server(self),
                          "S21: write %" PRIu64 " of session %" PRIu64
                          " is forgotten, only %" PRIu64 " were confirmed",
                          write->sequence, write->session, self->told);
    }
    if ((int)reply->code < 100 && reply->result != NULL) {
        truth_on_repeated(self->truth, workload_operations_server(self), write, reply->result);
    }
    workload_operations_free(self, operation);
}

static void on_read(struct workload_client *self,
                    struct operation *operation,
                    const struct request *request,
                    const struct reply *reply)
{
    struct chronicle *chronicle = truth_chronicle(self->truth);
    bool found = reply->code == CLIENT__CODE__OK;

    if (operation->call != RECORDING_NO_CALL) {
        recording_end_read(workload_operations_recording(self), operation->call, request, reply);
    }
    if (found || reply->code == CLIENT__CODE__NO_NODE) {
        if (reply->zxid < operation->at_least) {
            cluster_violation(workload_operations_server(self),
                              "S17: client %" PRIu64 " reads at %" PRIu64 ", not at %" PRIu64
                              " or later",
                              self->number, reply->zxid, operation->at_least);
        }
        if (request->kind == REQUEST_GET) {
            chronicle_check_node(chronicle, workload_operations_server(self), request->path,
                                 reply->zxid, found ? reply->node : NULL);
        } else if (request->kind == REQUEST_LIST) {
            chronicle_check_children(chronicle, workload_operations_server(self), request,
                                     reply->zxid, found, &reply->children);
        } else {
            chronicle_check_tree(chronicle, workload_operations_server(self), request, reply);
        }
        self->counts->reads++;
        self->probes_left -= self->probes_left == 1;
    }
    workload_operations_free(self, operation);
}

static void
on_session(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    bool opens = self->session == 0;
    uint64_t asked_us = operation->asked_us;

    workload_operations_free(self, operation);
    if (reply->code == CLIENT__CODE__OK) {
        if (self->session != 0 && reply->session.last_sequence < self->confirmed) {
            cluster_violation(workload_operations_server(self),
                              "session %" PRIu64 " knows writes up to %" PRIu64 ", %" PRIu64
                              " were answered",
                              self->session, reply->session.last_sequence, self->confirmed);
        }
        self->counts->sessions += self->session == 0;
        self->session = reply->session.session;
        memcpy(self->password, reply->session.password, sizeof self->password);
        self->ready = true;
        if (opens) {
            const struct recording_caller told = workload_operations_caller(self);

            recording_opened(workload_operations_recording(self), &told, asked_us);
        }
    } else if (reply->code == CLIENT__CODE__SESSION_EXPIRED) {
        workload_operations_lose_session(self);
    } else {
        self->broken = true;
    }
}

static void
on_close(struct workload_client *self, struct operation *operation, const struct reply *reply)
{
    const struct recording_caller told = workload_operations_caller(self);
    uint64_t asked_us = operation->asked_us;

    workload_operations_free(self, operation);
    self->closing = false;
    if (reply->code == CLIENT__CODE__OK) {
        self->counts->closed++;
        truth_on_ended(self->truth, workload_operations_server(self), self->session);
        recording_ended(workload_operations_recording(self), &told, true, asked_us);
        workload_operations_leave_session(self);
    } else if (reply->code == CLIENT__CODE__SESSION_EXPIRED) {
        workload_operations_lose_session(self);
    } else {
        self->broken = true;
    }
}

static struct operation *find_by_id(struct workload_client *self, uint64_t id)
{
    LIST_FOR_EACH (link, &self->operations) {
        if (workload_operations_at(link)->id == id) {
            return workload_operations_at(link);
        }
    }
    return NULL;
}

void workload_answers_on_reply(void *context,
                               const struct request *request,
                               const struct reply *reply)
{
    const struct connection *connection = context;
    struct workload_client *self = connection->client;
    struct operation *operation;

    if (self == NULL) {
        return;
    }
    operation = find_by_id(self, request->id);
    timeline_mix(self->cluster->timeline, (uint64_t)reply->code << 32 ^ reply->zxid);
    timeline_trace(self->cluster->timeline,
                   "client %" PRIu64 ": answer %" PRIu64 " code %d at %" PRIu64, self->number,
                   request->id, (int)reply->code, reply->zxid);
    if (reply->zxid > self->seen) {
        self->seen = reply->zxid;
    }
    if (operation == NULL) {
        return;
    }
    switch (operation->kind) {
    case OPERATION_SESSION:
        on_session(self, operation, reply);
        break;
    case OPERATION_CLOSE:
        on_close(self, operation, reply);
        break;
    case OPERATION_WRITE:
        on_write(self, operation, reply);
        break;
    case OPERATION_AGAIN:
        on_again(self, operation, reply);
        break;
    case OPERATION_READ:
        on_read(self, operation, request, reply);
        break;
    case OPERATION_STREAM:
        workload_operations_free(self, operation);
        client_streams_on_reply(&self->streams, workload_operations_server(self), request, reply);
        break;
    case OPERATION_PING:
        workload_operations_free(self, operation);
        break;
    }
}

void workload_answers_on_events(void *context,
                                uint64_t watch,
                                bool with_values,
                                const struct watch_event *events,
                                size_t count,
                                zxid up_to,
                                bool lost)
{
    const struct connection *connection = context;
    struct workload_client *self = connection->client;

    (void)with_values;
    if (self == NULL) {
        return;
    }
    timeline_mix(self->cluster->timeline, watch << 32 ^ up_to << 1 ^ lost);
    client_streams_on_events(&self->streams, connection->server, watch, events, count, up_to, lost);
    if (up_to > self->seen) {
        self->seen = up_to;
    }
}

void workload_answers_on_notice(void *context, Client__NoticeKind kind, Client__Code code)
{
    const struct connection *connection = context;
    struct workload_client *self = connection->client;

    if (self == NULL) {
        return;
    }
    if (kind == CLIENT__NOTICE_KIND__SESSION_ENDED) {
        self->broken = true;
        if (code == CLIENT__CODE__SESSION_EXPIRED) {
            workload_operations_lose_session(self);
        }
    } else if (kind == CLIENT__NOTICE_KIND__GOING_AWAY) {
        self->broken = true;
    } else if (kind == CLIENT__NOTICE_KIND__LEADER_FOUND &&
               node_applied(connection->server->node) < connection->leaderless) {
        cluster_violation(
            connection->server,
            "S25: a client is told that its session goes on from the state at %" PRIu64
            ", but %" PRIu64 " was committed while there was no leader",
            node_applied(connection->server->node), connection->leaderless);
    }
}
