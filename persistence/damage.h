/* What to do about a damaged folder: the end of every message that tells of one. */
#ifndef PERSISTENCE_DAMAGE_H
#define PERSISTENCE_DAMAGE_H

#define DAMAGE_WAY_OUT                                                                             \
    "take this server out of the cluster, move its data folder away and add it again (the other "  \
    "members hold the data), or restore a backup"

#endif
