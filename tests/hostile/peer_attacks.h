/* Attacks on the protocol between servers: by strangers, and behind the proof by who knows the
 * secret and comes as a member that is down. */
#ifndef TESTS_HOSTILE_PEER_ATTACKS_H
#define TESTS_HOSTILE_PEER_ATTACKS_H

#include "tests/hostile/site.h"

/* By strangers. */
void peer_attack_noise(struct site *site);
/* By a member: it wants to be voted for, with a log ahead of all others, again and again. */
void peer_attack_votes(struct site *site);
/* It asks, and never reads an answer. */
void peer_attack_unread(struct site *site);
/* Somebody on the way, who sends a frame of its once more: the link must be closed. */
void peer_attack_replays(struct site *site);

#endif
