/* The risky parts of the Raft core as a model for spin: votes, requests and acknowledgements that
 * wait for the disk, a disk that finishes late, crashes, joint changes that hold from the moment
 * they are appended and are rolled back with their entry, reads confirmed by rounds, and disks that
 * come back empty under a new incarnation. What is left out, and why: README.md.
 *
 * The network is the set of all messages ever sent: each may arrive at any time, any number of
 * times, or never. So it needs no channels. A leader's log only grows within its term, so `term[t]`
 * holds what could have been sent in term t: a prefix of that log, a commit index and a read round
 * up to those reached. Answers are kept as the highest that was sent; the receiver acts on them
 * whenever it likes. That allows a few more messages than the core sends (an old commit index with
 * a new read round), never fewer.
 *
 * Sizes and planted bugs come as -D options: see run.py. */

#ifndef NODES
#define NODES 3
#endif
#ifndef TERMS
#define TERMS 2
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef READS
#define READS 0
#endif
#ifndef COMMANDS
#define COMMANDS 1
#endif
#ifndef CHANGES
#define CHANGES 0
#endif
/* The sets of voters, as masks of nodes. The cluster starts with SET0. */
#ifndef SET0
#define SET0 7
#endif
#ifndef SET1
#define SET1 SET0
#endif
#ifndef SET2
#define SET2 SET0
#endif
/* The nodes that ever campaign, as a mask: fewer make an instance smaller. */
#ifndef CANDIDATES
#define CANDIDATES 15
#endif
/* The node that WIPED becomes when its disk is emptied: the same id, another incarnation. */
#ifndef REBORN
#define REBORN NODES
#define WIPED NODES
#endif

#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2

/* An entry is its term and its kind; kinds from UNIFORM(0) on are configurations. */
#define NOOP 1
#define COMMAND 2
#define UNIFORM(set) (3 + (set))
#define JOINT(old, new) (6 + 3 * (old) + (new))
#define ENTRY(of, kind) (16 * (of) + (kind))
#define TERM_OF(entry) ((entry) / 16)
#define KIND_OF(entry) ((entry) % 16)
#define IS_CONFIG(kind) ((kind) >= UNIFORM(0))
#define IS_JOINT(kind) ((kind) >= JOINT(0, 0))

#define BIT(node) (1 << (node))
#define SET(set) ((set) == 0 -> SET0 : ((set) == 1 -> SET1 : SET2))
#define OLD_SET(kind) SET(((kind) - 6) / 3)
#define NEW_SET(kind) (IS_JOINT(kind) -> SET(((kind) - 6) % 3) : SET((kind) - 3))
#define COUNT(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1) + (((set) >> 3) & 1))
#define MAJORITY(has, set) (2 * COUNT((has) & (set)) > COUNT(set))
#if defined(BUG_JOINT_COUNTS_NEW_HALF)
#define QUORUM(has, kind) MAJORITY(has, NEW_SET(kind))
#elif defined(BUG_JOINT_COUNTS_OLD_HALF)
#define QUORUM(has, kind) (IS_JOINT(kind) -> MAJORITY(has, OLD_SET(kind)) : MAJORITY(has, NEW_SET(kind)))
#elif defined(BUG_STRANGERS_COUNT)
#define QUORUM(has, kind) (COUNT(has) > COUNT(NEW_SET(kind)) / 2 && (!IS_JOINT(kind) || COUNT(has) > COUNT(OLD_SET(kind)) / 2))
#else
#define QUORUM(has, kind) (MAJORITY(has, NEW_SET(kind)) && (!IS_JOINT(kind) || MAJORITY(has, OLD_SET(kind))))
#endif
#define IS_VOTER(node, kind) ((NEW_SET(kind) & BIT(node)) != 0 || (IS_JOINT(kind) && (OLD_SET(kind) & BIT(node)) != 0))

/* What a disk holds, and memory above it. Entries are 1 ... last; those behind are 0. */
typedef Image {
    byte term;
    byte vote; /* node + 1 */
    byte last;
    byte entry[ENTRIES + 1]
};

typedef Node {
    Image memory;
    Image written; /* the write that is under way */
    Image disk;
    bool writing;
    bool writing_hard;
    byte writing_lowest; /* the lowest entry it touches; 0 = none */
    bool dirty_hard;
    byte dirty_lowest;
    byte role;
    byte commit;
    bool asked; /* a candidate whose own vote is durable */
    bool gone;
#ifdef BUG_STALE_COMPLETION
    byte stable;
#endif
#ifdef BUG_CONFIG_NOT_ROLLED_BACK
    byte config;
#endif
};

/* What was sent in a term. Cleared when no node can care any more. */
typedef Term {
    byte leader; /* node + 1 */
    byte last;
    byte entry[ENTRIES + 1];
    byte commit;
    byte round;
    byte ack[NODES];
    byte echo[NODES];
    byte request[4]; /* 0 = none, else 1 + 16 * its last term + its last index */
    byte grants[NODES]   /* to each candidate, a mask of voters */
};

Node node[NODES];
Term term[5]; /* 1 ... TERMS, of 4 at most */
byte crashes;
byte reads;
byte changes;
byte commands;

/* The one read that waits. */
byte read_node; /* node + 1 */
byte read_index;
byte read_round;
byte read_known; /* committed anywhere when it began */

/* The history: what was ever committed, and in whose term. */
byte committed;
byte history[ENTRIES + 1];
byte history_term[ENTRIES + 1];

/* Of one step, and 0 between steps: what was chosen, and what was found. */
byte t, previous, count, fresh, candidate, set, next;
byte k, j, a, b, has, config, config_at, durable, verified, other, lowest;
bool fits, settled;

/* The properties; each is asserted when it is found. */
bool one_leader_a_term = true;
bool leader_has_what_was_committed = true;
bool committed_never_changes = true;
bool committed_is_on_a_quorum_of_disks = true;
bool quorums_meet = true;
bool read_is_fresh = true;
bool configuration_follows_log = true;
bool node_has_one_leader = true;

inline reset()
{
    t = 0;
    previous = 0;
    count = 0;
    fresh = 0;
    candidate = 0;
    set = 0;
    next = 0;
    k = 0;
    j = 0;
    a = 0;
    b = 0;
    has = 0;
    config = 0;
    config_at = 0;
    durable = 0;
    verified = 0;
    other = 0;
    lowest = 0;
    fits = false;
    settled = false
}

#define MEMORY node[i].memory
#define HARD_STATE_IS_DURABLE (!node[i].dirty_hard && !(node[i].writing && node[i].writing_hard))
#define LAST_TERM TERM_OF(MEMORY.entry[MEMORY.last])

/* --- What follows from the state --- */

/* config, config_at: the newest configuration of node n with an index up to `upto`. */
inline find_config(n, upto)
{
    config = UNIFORM(0);
    config_at = 0;
    k = 1;
    do
    :: k <= upto ->
        if
        :: IS_CONFIG(KIND_OF(node[n].memory.entry[k])) ->
            config = KIND_OF(node[n].memory.entry[k]);
            config_at = k
        :: else
        fi;
        k++
    :: else -> break
    od
}

#ifdef BUG_CONFIG_NOT_ROLLED_BACK
#define EFFECTIVE(n) find_config(n, node[n].memory.last); config = (node[n].config > 0 -> node[n].config : config)
#else
#define EFFECTIVE(n) find_config(n, node[n].memory.last)
#endif

/* durable: below everything that an unfinished write touches. */
inline find_durable(n)
{
    durable = node[n].memory.last;
#ifdef BUG_STALE_COMPLETION
    durable = node[n].stable;
#else
    if
    :: node[n].writing && node[n].writing_lowest > 0 && node[n].writing_lowest <= durable ->
        durable = node[n].writing_lowest - 1
    :: else
    fi;
    if
    :: node[n].dirty_lowest > 0 && node[n].dirty_lowest <= durable ->
        durable = node[n].dirty_lowest - 1
    :: else
    fi
#endif
}

inline touch_entry(n, index)
{
    if
    :: node[n].dirty_lowest == 0 || index < node[n].dirty_lowest -> node[n].dirty_lowest = index
    :: else
    fi;
#ifdef BUG_STALE_COMPLETION
    if
    :: node[n].stable >= index -> node[n].stable = index - 1
    :: else
    fi
#endif
}

inline append(n, what)
{
    node[n].memory.last++;
    node[n].memory.entry[node[n].memory.last] = what;
#ifdef BUG_CONFIG_NOT_ROLLED_BACK
    if
    :: IS_CONFIG(KIND_OF(what)) -> node[n].config = KIND_OF(what)
    :: else
    fi;
#endif
    touch_entry(n, node[n].memory.last)
}

inline copy(to, from)
{
    to.term = from.term;
    to.vote = from.vote;
    to.last = from.last;
    k = 1;
    do
    :: k <= ENTRIES -> to.entry[k] = from.entry[k]; k++
    :: else -> break
    od
}

inline clear(image)
{
    image.term = 0;
    image.vote = 0;
    image.last = 0;
    k = 1;
    do
    :: k <= ENTRIES -> image.entry[k] = 0; k++
    :: else -> break
    od
}

/* Answers to who no longer leads or stands are not kept: nobody will look at them. */
inline become_follower(n)
{
    if
    :: node[n].role == LEADER ->
        k = 0;
        do
        :: k < NODES ->
            term[node[n].memory.term].ack[k] = 0;
            term[node[n].memory.term].echo[k] = 0;
            k++
        :: else -> break
        od;
        if
        :: read_node == n + 1 -> read_node = 0; read_index = 0; read_round = 0; read_known = 0
        :: else
        fi
    :: node[n].role == CANDIDATE ->
#ifndef BUG_OLD_GRANTS_COUNT
        term[node[n].memory.term].grants[n] = 0
#endif
    :: else
    fi;
    node[n].role = FOLLOWER;
    node[n].asked = false
}

inline enter_term(n, at)
{
    become_follower(n);
    node[n].memory.term = at;
    node[n].memory.vote = 0;
    node[n].dirty_hard = true
}

/* Terms that every disk has left behind can have no effect any more. */
inline forget_terms()
{
    lowest = TERMS + 1;
    j = 0;
    do
    :: j < NODES ->
        if
        :: !node[j].gone && node[j].disk.term < lowest -> lowest = node[j].disk.term
        :: else
        fi;
        j++
    :: else -> break
    od;
    j = 1;
    do
    :: j < lowest && j <= TERMS ->
        term[j].leader = 0;
        term[j].last = 0;
        term[j].commit = 0;
        term[j].round = 0;
        k = 1;
        do
        :: k <= ENTRIES -> term[j].entry[k] = 0; k++
        :: else -> break
        od;
        k = 0;
        do
        :: k < NODES -> term[j].request[k] = 0; k++
        :: else -> break
        od;
        j++
    :: else -> break
    od
}

/* --- What must hold --- */

/* Committed entries never change, and nobody takes another for committed. */
inline check_committed(n)
{
    k = 1;
    do
    :: k <= node[n].commit ->
        committed_never_changes = k <= committed && node[n].memory.entry[k] == history[k];
        assert(committed_never_changes);
        k++
    :: else -> break
    od
}

/* Every quorum of one configuration meets every quorum of the other. */
inline check_quorums_meet(one, another)
{
    a = 1;
    do
    :: a < BIT(NODES) ->
        b = 1;
        do
        :: b < BIT(NODES) ->
            quorums_meet = (a & b) != 0 || !QUORUM(a, one) || !QUORUM(b, another);
            assert(quorums_meet);
            b++
        :: else -> break
        od;
        a++
    :: else -> break
    od
}

/* A leader has whatever was committed in the terms before its own, and its quorums meet those of
 * the last configuration among that. */
inline check_leader(n)
{
    one_leader_a_term = term[node[n].memory.term].leader == 0;
    assert(one_leader_a_term);
    other = UNIFORM(0);
    k = 1;
    do
    :: k <= committed ->
        if
        :: history_term[k] < node[n].memory.term ->
            leader_has_what_was_committed = node[n].memory.entry[k] == history[k];
            assert(leader_has_what_was_committed);
            if
            :: IS_CONFIG(KIND_OF(history[k])) -> other = KIND_OF(history[k])
            :: else
            fi
        :: else
        fi;
        k++
    :: else -> break
    od;
    EFFECTIVE(n);
    check_quorums_meet(config, other)
}

/* What a leader calls committed is on the disks of a quorum. */
inline check_disks(n, index)
{
    has = 0;
    j = 0;
    do
    :: j < NODES ->
        if
        :: node[j].disk.last >= index && node[j].disk.entry[index] == node[n].memory.entry[index] ->
            has = has | BIT(j)
        :: else
        fi;
        j++
    :: else -> break
    od;
    committed_is_on_a_quorum_of_disks = QUORUM(has, config);
    assert(committed_is_on_a_quorum_of_disks)
}

/* --- Steps --- */

inline campaign()
{
    enter_term(i, MEMORY.term + 1);
    MEMORY.vote = i + 1;
    node[i].role = CANDIDATE
}

inline request_votes()
{
    node[i].asked = true;
    term[MEMORY.term].request[i] = 1 + 16 * LAST_TERM + MEMORY.last
}

/* A request of `candidate` in term t. The grant is a step of its own: it waits for the disk. */
inline receive_request()
{
    if
    :: t > MEMORY.term -> enter_term(i, t)
    :: else
    fi;
    other = term[t].request[candidate] - 1;
#ifdef BUG_ANY_LOG_IS_GOOD
    fits = true;
#else
    fits = other / 16 > LAST_TERM || (other / 16 == LAST_TERM && other % 16 >= MEMORY.last);
#endif
#ifdef BUG_VOTE_NOT_KEPT
    fits = fits && node[i].role == FOLLOWER;
#else
    fits = fits && (MEMORY.vote == 0 || MEMORY.vote == candidate + 1);
#endif
    if
    :: fits && MEMORY.vote != candidate + 1 ->
        MEMORY.vote = candidate + 1;
        node[i].dirty_hard = true
    :: else
    fi
}

inline grant()
{
    k = MEMORY.vote - 1;
    if
#ifdef BUG_OLD_GRANTS_COUNT
    :: true ->
#else
    :: node[k].role == CANDIDATE && node[k].memory.term == MEMORY.term ->
#endif
        term[MEMORY.term].grants[k] = term[MEMORY.term].grants[k] | BIT(i)
    :: else
    fi
}

inline count_grants()
{
    EFFECTIVE(i);
    has = term[MEMORY.term].grants[i] | BIT(i);
#ifdef BUG_OLD_GRANTS_COUNT
    k = 1;
    do
    :: k <= TERMS -> has = has | term[k].grants[i]; k++
    :: else -> break
    od;
#endif
    fits = QUORUM(has, config)
}

inline lead()
{
    check_leader(i);
    term[MEMORY.term].grants[i] = 0;
    node[i].role = LEADER;
    append(i, ENTRY(MEMORY.term, NOOP));
    term[MEMORY.term].leader = i + 1;
    k = 1;
    do
    :: k <= MEMORY.last -> term[MEMORY.term].entry[k] = MEMORY.entry[k]; k++
    :: else -> break
    od;
    term[MEMORY.term].last = MEMORY.last;
    term[MEMORY.term].commit = node[i].commit
}

inline propose(kind)
{
    append(i, ENTRY(MEMORY.term, kind));
    term[MEMORY.term].last = MEMORY.last;
    term[MEMORY.term].entry[MEMORY.last] = MEMORY.entry[MEMORY.last]
}

/* settled: the leader may append a configuration. */
inline find_settled()
{
    EFFECTIVE(i);
    settled = config_at <= node[i].commit && TERM_OF(MEMORY.entry[node[i].commit]) == MEMORY.term;
#ifdef BUG_TWO_CHANGES_PENDING
    settled = TERM_OF(MEMORY.entry[node[i].commit]) == MEMORY.term;
#endif
}

/* Neighbours in the log, whatever the leader takes for the present configuration. */
inline propose_config(kind)
{
    other = kind;
    find_config(i, MEMORY.last);
    check_quorums_meet(config, other);
    propose(other)
}

/* APPEND of term t with `count` entries after `previous`; `fresh`: it carries the newest commit
 * index and read round that were sent, else the oldest. */
inline receive_append()
{
    node_has_one_leader = t > MEMORY.term || node[i].role != LEADER;
    assert(node_has_one_leader);
    if
    :: t > MEMORY.term -> enter_term(i, t)
    :: t == MEMORY.term && node[i].role == CANDIDATE -> become_follower(i)
    :: else
    fi;
    fits = previous <= MEMORY.last &&
           TERM_OF(MEMORY.entry[previous]) == TERM_OF(term[t].entry[previous]);
    if
    :: fits -> store_entry(); learn_commit(); acknowledge()
    :: else
    fi;
    if
    :: fresh && HARD_STATE_IS_DURABLE && node[term[t].leader - 1].role == LEADER &&
       node[term[t].leader - 1].memory.term == t ->
        term[t].echo[i] = term[t].round
    :: else
    fi
}

inline store_entry()
{
    verified = previous + count;
    next = previous + 1;
    if
#ifdef BUG_MATCHING_ENTRIES_CUT
    :: count == 0 && MEMORY.last > previous -> cut_from(next)
#endif
    :: count == 1 && (next > MEMORY.last ||
                      TERM_OF(MEMORY.entry[next]) != TERM_OF(term[t].entry[next])) ->
        if
        :: next <= MEMORY.last ->
            committed_never_changes = next > node[i].commit;
            assert(committed_never_changes);
            cut_from(next)
        :: else
        fi;
        append(i, term[t].entry[next])
    :: else
    fi
}

inline cut_from(index)
{
    k = index;
    do
    :: k <= MEMORY.last -> MEMORY.entry[k] = 0; k++
    :: else -> break
    od;
    MEMORY.last = index - 1;
    touch_entry(i, index);
    EFFECTIVE(i);
    other = config;
    find_config(i, MEMORY.last);
    configuration_follows_log = other == config;
    assert(configuration_follows_log)
}

inline learn_commit()
{
    other = (fresh -> term[t].commit : 0);
    if
#ifdef BUG_COMMIT_BEYOND_VERIFIED
    :: other > MEMORY.last -> other = MEMORY.last
#else
    :: other > verified -> other = verified
#endif
    :: else
    fi;
    if
    :: other > node[i].commit -> node[i].commit = other; check_committed(i)
    :: else
    fi;
    if
    :: verified < node[i].commit -> verified = node[i].commit
    :: else
    fi
}

inline acknowledge()
{
    find_durable(i);
#ifdef BUG_ACK_BEFORE_DURABLE
    durable = MEMORY.last;
#endif
#ifdef BUG_ACK_OF_OWN_END
    verified = MEMORY.last;
#endif
    if
    :: verified < durable -> durable = verified
    :: else
    fi;
    if
    :: HARD_STATE_IS_DURABLE && durable > term[t].ack[i] &&
       node[term[t].leader - 1].role == LEADER && node[term[t].leader - 1].memory.term == t ->
        term[t].ack[i] = durable
    :: else
    fi
}

/* fits: the acknowledgements sent so far commit `next`. */
inline count_acks()
{
    EFFECTIVE(i);
    find_durable(i);
#ifdef BUG_LEADER_COUNTS_UNWRITTEN
    durable = MEMORY.last;
#endif
    has = (durable >= next -> BIT(i) : 0);
    j = 0;
    do
    :: j < NODES ->
        if
        :: term[MEMORY.term].ack[j] >= next -> has = has | BIT(j)
        :: else
        fi;
        j++
    :: else -> break
    od;
    fits = QUORUM(has, config);
#ifndef BUG_OLD_TERM_COMMITTED_BY_COUNT
    fits = fits && TERM_OF(MEMORY.entry[next]) == MEMORY.term
#endif
}

inline commit_next()
{
    check_disks(i, next);
    node[i].commit = next;
    term[MEMORY.term].commit = next;
    k = 1;
    do
    :: k <= next ->
        if
        :: k > committed -> history[k] = MEMORY.entry[k]; history_term[k] = MEMORY.term
        :: else
        fi;
        k++
    :: else -> break
    od;
    if
    :: next > committed -> committed = next
    :: else
    fi;
    check_committed(i)
}

inline start_read()
{
    reads++;
    read_node = i + 1;
    read_index = node[i].commit;
    read_known = committed;
#ifdef BUG_READ_ROUND_REUSED
    if
    :: term[MEMORY.term].round == 0 -> term[MEMORY.term].round = 1
    :: else
    fi;
#else
    term[MEMORY.term].round++;
#endif
    read_round = term[MEMORY.term].round
}

inline count_echoes()
{
    EFFECTIVE(i);
    has = BIT(i);
    j = 0;
    do
    :: j < NODES ->
        if
        :: term[MEMORY.term].echo[j] >= read_round -> has = has | BIT(j)
        :: else
        fi;
        j++
    :: else -> break
    od;
    fits = QUORUM(has, config)
}

inline finish_read()
{
    read_is_fresh = read_index >= read_known;
    assert(read_is_fresh);
    read_node = 0;
    read_index = 0;
    read_round = 0;
    read_known = 0
}

inline begin_write()
{
    copy(node[i].written, MEMORY);
    node[i].writing = true;
    node[i].writing_hard = node[i].dirty_hard;
    node[i].writing_lowest = node[i].dirty_lowest;
    node[i].dirty_hard = false;
    node[i].dirty_lowest = 0
}

inline finish_write()
{
    copy(node[i].disk, node[i].written);
#ifdef BUG_STALE_COMPLETION
    if
    :: node[i].writing_lowest > 0 && node[i].written.last > node[i].stable ->
        node[i].stable = (node[i].written.last < MEMORY.last -> node[i].written.last : MEMORY.last)
    :: else
    fi;
#endif
    clear(node[i].written);
    node[i].writing = false;
    node[i].writing_hard = false;
    node[i].writing_lowest = 0;
    forget_terms()
}

inline stop()
{
    become_follower(i);
    clear(node[i].written);
    node[i].writing = false;
    node[i].writing_hard = false;
    node[i].writing_lowest = 0;
    node[i].dirty_hard = false;
    node[i].dirty_lowest = 0;
    node[i].commit = 0
}

/* A configuration in the log proves that the one before it is committed. */
inline restart()
{
    copy(MEMORY, node[i].disk);
#ifdef BUG_CONFIG_NOT_ROLLED_BACK
    node[i].config = 0;
#endif
    EFFECTIVE(i);
    if
    :: config_at > 0 ->
        find_config(i, config_at - 1);
        node[i].commit = config_at;
        check_committed(i)
    :: else
    fi;
#ifdef BUG_STALE_COMPLETION
    node[i].stable = MEMORY.last;
#endif
    crashes++
}

/* What was on the disk stays written down, because acknowledgements of it are under way; but nobody
 * answers for it any more. */
inline wipe()
{
    stop();
#ifdef BUG_WIPED_DISK_KEEPS_IDENTITY
    clear(node[i].disk);
    clear(MEMORY);
#else
    node[i].gone = true;
    node[REBORN].gone = false;
#endif
    crashes++
}

/* fits: a voter of the effective configuration, or of one since the last that it knows as
 * committed. */
inline may_campaign()
{
    find_config(i, node[i].commit);
    fits = IS_VOTER(i, config);
    k = node[i].commit + 1;
    do
    :: k <= MEMORY.last ->
        if
        :: IS_CONFIG(KIND_OF(MEMORY.entry[k])) && IS_VOTER(i, KIND_OF(MEMORY.entry[k])) ->
            fits = true
        :: else
        fi;
        k++
    :: else -> break
    od
}

#ifdef BUG_VOTE_BEFORE_DURABLE
#define VOTE_IS_DURABLE true
#else
#define VOTE_IS_DURABLE HARD_STATE_IS_DURABLE
#endif

#ifdef BUG_READ_BEFORE_NOOP
#define MAY_READ true
#else
#define MAY_READ (TERM_OF(MEMORY.entry[node[i].commit]) == MEMORY.term)
#endif

/* What node i may still hear. */
#define HEARS_LEADER(at) (at <= TERMS && at >= MEMORY.term && term[at].leader != 0 && term[at].leader != i + 1)
#define HEARS_CANDIDATE(at, of) (at <= TERMS && of < NODES && of != i && at >= MEMORY.term && term[at].request[of] != 0)
#define HEARS_CANDIDATE_IN(at) (HEARS_CANDIDATE(at, 0) || HEARS_CANDIDATE(at, 1) || HEARS_CANDIDATE(at, 2) || HEARS_CANDIDATE(at, 3))
#define HEARS_ANY_LEADER (HEARS_LEADER(1) || HEARS_LEADER(2) || HEARS_LEADER(3) || HEARS_LEADER(4))
#define HEARS_ANY_CANDIDATE (HEARS_CANDIDATE_IN(1) || HEARS_CANDIDATE_IN(2) || HEARS_CANDIDATE_IN(3) || HEARS_CANDIDATE_IN(4))

inline choose_leader()
{
    if
    :: HEARS_LEADER(1) -> t = 1
    :: HEARS_LEADER(2) -> t = 2
    :: HEARS_LEADER(3) -> t = 3
    :: HEARS_LEADER(4) -> t = 4
    fi
}

inline choose_candidate()
{
    if
    :: HEARS_CANDIDATE_IN(1) -> t = 1
    :: HEARS_CANDIDATE_IN(2) -> t = 2
    :: HEARS_CANDIDATE_IN(3) -> t = 3
    :: HEARS_CANDIDATE_IN(4) -> t = 4
    fi;
    if
    :: HEARS_CANDIDATE(t, 0) -> candidate = 0
    :: HEARS_CANDIDATE(t, 1) -> candidate = 1
    :: HEARS_CANDIDATE(t, 2) -> candidate = 2
    :: HEARS_CANDIDATE(t, 3) -> candidate = 3
    fi
}

proctype server(byte i)
{
    do
    :: atomic {
           !node[i].gone && (CANDIDATES & BIT(i)) != 0 && MEMORY.term < TERMS && MEMORY.last < ENTRIES ->
           d_step { may_campaign() };
           if
           :: fits -> d_step { campaign(); reset() }
           :: else -> d_step { reset() }
           fi
       }
    :: d_step {
           node[i].role == CANDIDATE && !node[i].asked && VOTE_IS_DURABLE ->
           request_votes();
           reset()
       }
    :: atomic {
           !node[i].gone && HEARS_ANY_CANDIDATE ->
           choose_candidate();
           d_step { receive_request(); reset() }
       }
    :: d_step {
           !node[i].gone && MEMORY.vote != 0 && MEMORY.vote != i + 1 && VOTE_IS_DURABLE ->
           grant();
           reset()
       }
    :: atomic {
           node[i].role == CANDIDATE && node[i].asked && MEMORY.last < ENTRIES ->
           d_step { count_grants() };
           if
           :: fits -> d_step { lead(); reset() }
           :: else -> d_step { reset() }
           fi
       }
    :: d_step {
           node[i].role == LEADER && MEMORY.last < ENTRIES && commands < COMMANDS ->
           commands++;
           propose(COMMAND);
           reset()
       }
#if CHANGES > 0
    :: atomic {
           node[i].role == LEADER && MEMORY.last < ENTRIES ->
           d_step { find_settled() };
           if
           :: settled && IS_JOINT(config) -> d_step { propose_config(UNIFORM((config - 6) % 3)); reset() }
           :: settled && !IS_JOINT(config) && changes < CHANGES ->
               if
               :: config != UNIFORM(0) -> set = 0
               :: config != UNIFORM(1) -> set = 1
#if SET2 != SET0
               :: config != UNIFORM(2) -> set = 2
#endif
               fi;
               d_step {
                   changes++;
#ifdef BUG_CHANGE_IN_ONE_STEP
                   propose(UNIFORM(set))
#else
                   propose_config(JOINT(config - 3, set))
#endif
                   ;
                   reset()
               }
           :: else -> d_step { reset() }
           fi
       }
#endif
    :: atomic {
           !node[i].gone && HEARS_ANY_LEADER ->
           choose_leader();
           previous = 0;
           do
           :: previous < term[t].last -> previous++
           :: break
           od;
           if
           :: count = 0
           :: previous < term[t].last -> count = 1
           fi;
           if
           :: fresh = 0
           :: fresh = 1
           fi;
           d_step { receive_append(); reset() }
       }
    :: atomic {
           node[i].role == LEADER && node[i].commit < MEMORY.last ->
           next = node[i].commit + 1;
           do
           :: next < MEMORY.last -> next++
           :: break
           od;
           skip; /* a loop must not end in a d_step */
           d_step { count_acks() };
           if
           :: fits -> d_step { commit_next(); reset() }
           :: else -> d_step { reset() }
           fi
       }
#if READS > 0
    :: d_step {
           node[i].role == LEADER && read_node == 0 && reads < READS && MAY_READ ->
           start_read();
           reset()
       }
    :: atomic {
           read_node == i + 1 ->
           d_step { count_echoes() };
           if
           :: fits -> d_step { finish_read(); reset() }
           :: else -> d_step { reset() }
           fi
       }
#endif
#ifdef DISK_IN_ONE_STEP
    :: d_step {
           !node[i].writing && (node[i].dirty_hard || node[i].dirty_lowest > 0) ->
           begin_write();
           finish_write();
           reset()
       }
#else
    :: d_step {
           !node[i].writing && (node[i].dirty_hard || node[i].dirty_lowest > 0) ->
           begin_write();
           reset()
       }
    :: d_step {
           node[i].writing ->
           finish_write();
           reset()
       }
#endif
    :: d_step {
           crashes < CRASHES && !node[i].gone ->
           stop();
           restart();
           reset()
       }
#if REBORN < NODES
    :: d_step {
           i == WIPED && crashes < CRASHES && !node[i].gone ->
           wipe();
           reset()
       }
#endif
    od
}

init
{
    atomic {
#if REBORN < NODES
        node[REBORN].gone = true;
#endif
        k = 0;
        do
        :: k < NODES -> run server(k); k++
        :: else -> break
        od;
        k = 0
    }
}
