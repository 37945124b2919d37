# Ends the server when its last user is gone. Standard input is a pipe every user holds open for
# writing, so it ends with the last of them, even if that one was killed. A user who joins writes a
# line.
grace=$1 data=$2 closing=$3

while true; do
    while read -r _; do :; done
    sleep "$grace"
    # From here on a new user waits for the verdict: the mark goes away, or this process does.
    : >"$closing"
    read -r _ || break
    rm -f "$closing"
done

# A server that was only just started has yet to write its pid.
[ -e "$data/postmaster.pid" ] || sleep 1
read -r pid <"$data/postmaster.pid" || exit
# The number of a server that died may have gone to another process.
command=$(tr '\0' ' ' <"/proc/$pid/cmdline" || ps -ww -o args= -p "$pid")
case $command in
*" -D $data "*) kill -INT "$pid" ;;
esac
