# wrk and ab against magpie serve, on a keep-alive connection and without: every answer must be right.
set -euo pipefail

for tool in wrk ab curl; do
    command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 77; }
done

folder=$(mktemp -d)
"$MAGPIE_PROGRAM" serve --listen 127.0.0.1:0 >"$folder/out" 2>"$folder/errors" &
server=$!
trap 'kill -KILL $server 2>/dev/null || true; rm -rf "$folder"' EXIT

for _ in $(seq 600); do
    grep -q '^listening on ' "$folder/out" && break
    kill -0 $server || { cat "$folder/errors"; exit 1; }
    sleep 0.1
done
address=$(sed -n 's/^listening on \([^ ]*\).*/\1/p' "$folder/out")
failed=0
expect() { # NAME PATTERN: in the output of the tool before
    grep -qE "$2" "$folder/tool" && echo "ok      $1" && return
    echo "FAILED  $1: no '$2' in"
    cat "$folder/tool"
    failed=1
}
refuse() {
    if grep -qE "$2" "$folder/tool"; then
        echo "FAILED  $1: '$2' in"
        cat "$folder/tool"
        failed=1
    else
        echo "ok      $1"
    fi
}

wrk --timeout 60s -t 2 -c 32 -d 1s "http://$address/" >"$folder/tool"
expect 'wrk was answered' 'Requests/sec: +[1-9]'
refuse 'wrk saw no errors' 'Socket errors|Non-2xx'

wrk --timeout 60s -t 2 -c 32 -d 1s "http://$address/sleep?ms=5" >"$folder/tool"
refuse 'wrk saw no errors while requests slept' 'Socket errors|Non-2xx'

ab -q -k -n 5000 -c 16 "http://$address/" >"$folder/tool" 2>&1
expect 'ab -k: all complete' 'Complete requests: +5000$'
expect 'ab -k: none failed' 'Failed requests: +0$'
expect 'ab -k: all kept alive' 'Keep-Alive requests: +5000$'

ab -q -n 1000 -c 16 "http://$address/" >"$folder/tool" 2>&1
expect 'ab: all complete' 'Complete requests: +1000$'
expect 'ab: none failed' 'Failed requests: +0$'

ab -q -i -n 1000 -c 16 "http://$address/" >"$folder/tool" 2>&1
expect 'ab HEAD: none failed' 'Failed requests: +0$'

curl -sS "http://$address/" >"$folder/tool"
expect 'curl is still served' '^hello from magpie$'

kill -TERM $server
wait $server || { echo "FAILED  the server's exit status"; cat "$folder/errors"; failed=1; }
cp "$folder/out" "$folder/tool"
expect 'the report' '^  requests +[0-9,]+ '
exit $failed
