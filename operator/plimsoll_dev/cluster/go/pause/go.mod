module plimsoll.dev/cluster/pause

go 1.24
