#!/bin/sh
# Stands for whatever keeps your applications away from the database: a load balancer, a deployment, a flag.
set -eu
case "${1:-}" in
    stop) echo "applications are kept away" ;;
    start) echo "applications may come back" ;;
    *) echo "usage: applications.sh stop|start" >&2; exit 2 ;;
esac
