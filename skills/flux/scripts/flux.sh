#!/usr/bin/env bash
# Flux from the command line: publish events; read, list and delete entities.
#
# Needs bash 3.2 or newer and curl, nothing else. What the server answers goes to
# stdout as it came, numbers untouched, and only when it is complete. jq, when
# present, lays it out on a terminal.
#
# Exit status: 0 done, 1 refused by the server (or some items of a batch were),
# 2 wrong usage, 3 no usable answer: the request may or may not have arrived.

set -euo pipefail
set -f # no argument here ever means file names
shopt -s extglob
# Bytes, not characters: lengths, ranges and the encoders below rely on it.
export LC_ALL=C

readonly PROGRAM=${0##*/}
readonly CONNECT_SECONDS=5
readonly SHOWN_BYTES=400

ANSWER= # what the last successful request brought
TEXT=   # what the last read_text brought

# --- help --------------------------------------------------------------------

readonly COMMANDS='health publish get list delete batch batch-delete connectors admin-config'

usage_of() { # COMMAND: its synopsis and what it does
  case $1 in
    health) printf '%s\n' 'health' \
      'Say whether the server works, with its version, log position and entities.' ;;
    publish) printf '%s\n' 'publish STREAM SOURCE ENTITY_ID PROPERTIES_JSON' \
      'Publish one event, timed now. Only the named properties change.' ;;
    get) printf '%s\n' 'get ENTITY_ID' \
      'Show one entity as it is now.' ;;
    list) printf '%s\n' 'list [--prefix PREFIX | --namespace NAME]' \
      'Show all entities, or those of a prefix or a namespace (both: in both).' ;;
    delete) printf '%s\n' 'delete ENTITY_ID' \
      'Delete one entity. Its history stays.' ;;
    batch) printf '%s\n' 'batch EVENTS_JSON' \
      'Publish a list of events together; a bad one fails alone (exit 1).' ;;
    batch-delete) printf '%s\n' 'batch-delete FILTER_JSON' \
      'Delete by {"namespace":…}, {"prefix":…} or {"entity_ids":[…]}.' ;;
    connectors) printf '%s\n' 'connectors' \
      'Show the connectors and how they are.' ;;
    admin-config) printf '%s\n' 'admin-config [CONFIG_JSON]' \
      'Show the runtime configuration, or change it (needs FLUX_ADMIN_TOKEN).' ;;
    *) return 1 ;;
  esac
}

synopsis() { # COMMAND: one line
  local text
  text=$(usage_of "$1")
  printf 'usage: %s %s\n' "$PROGRAM" "${text%%$'\n'*}"
}

help_all() {
  local command text
  printf 'usage: %s COMMAND [ARGUMENT...]\n\n' "$PROGRAM"
  for command in $COMMANDS; do
    text=$(usage_of "$command")
    printf '  %s\n      %s\n' "${text%%$'\n'*}" "${text#*$'\n'}"
  done
  printf '  %s\n      %s\n\n' 'help [COMMAND]' 'Show this, or one command.'
  printf '%s\n' \
    'A JSON argument may be - (read stdin) or @FILE. -- ends the options.' '' \
    'FLUX_URL          the server (http://localhost:3000)' \
    'FLUX_TOKEN        bearer token; not needed on a server without authentication' \
    'FLUX_ADMIN_TOKEN  operator token, for changing admin-config' \
    'FLUX_TIMEOUT      seconds one request may take (60)'
}

help_one() { # COMMAND
  local text
  text=$(usage_of "$1") || misused "unknown command: $1"
  printf 'usage: %s %s\n\n%s\n' "$PROGRAM" "${text%%$'\n'*}" "${text#*$'\n'}"
  case $text in
    *_JSON*) printf '%s\n' "The JSON may be - (read stdin) or @FILE." ;;
  esac
}

# --- failures ----------------------------------------------------------------

say() { printf '%s: %s\n' "$PROGRAM" "$1" >&2; }

misused() { # MESSAGE [COMMAND]
  say "$1"
  if [[ -n ${2-} ]]; then synopsis "$2" >&2; else
    printf 'usage: %s COMMAND [ARGUMENT...]; see %s help\n' "$PROGRAM" "$PROGRAM" >&2
  fi
  exit 2
}

# --- text and JSON -----------------------------------------------------------

byte_value() { # NAME BYTE: its number into the variable NAME
  printf -v "$1" '%d' "'$2"
  # Some versions of bash take bytes above 127 for negative numbers.
  printf -v "$1" '%d' "$((${!1} & 255))"
}

percent_encoded() { # TEXT: every byte but the unreserved ones of RFC 3986 encoded
  local encoded='' byte number i
  for ((i = 0; i < ${#1}; i++)); do
    byte=${1:i:1}
    case $byte in
      [A-Za-z0-9._~-]) ;;
      *)
        byte_value number "$byte"
        printf -v byte '%%%02X' "$number"
        ;;
    esac
    encoded+=$byte
  done
  printf '%s' "$encoded"
}

json_string() { # TEXT: as a JSON string, quotes included; UTF-8 stays as it is
  local escaped='' byte number i
  if [[ $1 != *[\"\\[:cntrl:]]* ]]; then
    printf '"%s"' "$1"
    return
  fi
  for ((i = 0; i < ${#1}; i++)); do
    byte=${1:i:1}
    case $byte in
      '"' | \\) byte=\\$byte ;;
      [[:cntrl:]])
        byte_value number "$byte"
        printf -v byte '\\u%04x' "$number"
        ;;
    esac
    escaped+=$byte
  done
  printf '"%s"' "$escaped"
}

# Put into a larger JSON text, such a text can only be one object or make the whole
# invalid, which the server refuses: it cannot close our object and add to it.
# Split by IFS, because matching patterns along a megabyte takes bash minutes.
closes_where_it_ends() { # TEXT: does its first brace close at its last byte?
  local text=$1 outside=() inside='' part backslashes brackets before level IFS='"'
  text=${text:$(leading_space "$text")}
  text=${text%"${text##*[![:space:]]}"}
  [[ $text == '{'*'}' ]] || return 1
  # shellcheck disable=SC2086  # split at the quotes, on purpose
  set -- $text
  for part; do
    if [[ -z $inside ]]; then
      outside+=("$part")
      inside=yes # the next part, that is
    elif [[ ${part: -1} == \\ ]]; then
      backslashes=${part##*[!\\]}
      ((${#backslashes} % 2)) || inside=
    else
      inside=
    fi
  done
  [[ -n $inside ]] || return 1 # it ends within a string
  # What JSON has outside of strings, except brackets, separates; so brackets are left.
  # shellcheck disable=SC2141  # the n of null and the t of true, indeed
  IFS=$' \t\r\n,:+-.0123456789Eaeflnrstu'
  # shellcheck disable=SC2048,SC2086  # split, on purpose
  set -- ${outside[*]}
  IFS=
  brackets=$*
  brackets=${brackets#?}
  brackets=${brackets%?}
  for ((level = 0; level < 64; level++)); do
    before=$brackets
    brackets=${brackets//'{}'/}
    brackets=${brackets//'[]'/}
    [[ $brackets != "$before" ]] || break
  done
  [[ -z $brackets ]]
}

leading_space() { # TEXT: how many bytes of it
  local space=${1%%[![:space:]]*}
  printf '%s' "${#space}"
}

printable() { # TEXT: safe on a terminal, not too long, no character cut in two
  local text=${1:0:SHOWN_BYTES}
  if ((${#1} > SHOWN_BYTES)); then
    while [[ $text == *[$'\x80'-$'\xbf'] ]]; do text=${text%?}; done
    text=${text%[$'\xc0'-$'\xff']}…
  fi
  printf '%s' "${text//[[:cntrl:]]/ }"
}

# The two readers below look for a key in answers that Flux writes. Inside a JSON
# string a quote is escaped, so that no value can pass for a key.

# Its first value that is a string or begins a list of strings, for people to read:
# \n becomes a space, escapes other than \" \\ \/ stay written out.
json_text() { # JSON KEY
  local rest value='' run space='[[:space:]]*'
  local pattern="\"$2\"$space:$space\\[?$space\"(([^\"\\]|\\\\.)*)\""
  [[ $1 =~ $pattern ]] || return 1
  rest=${BASH_REMATCH[1]:0:SHOWN_BYTES*2}
  while [[ $rest == *\\* ]]; do
    run=${rest%%\\*}
    rest=${rest:${#run}}
    case $rest in
      \\[\"\\/]*) value+=$run${rest:1:1} ;;
      \\n*) value+="$run " ;;
      *) value+=$run${rest:0:2} ;;
    esac
    rest=${rest:2}
  done
  printable "$value$rest"
}

json_count() { # JSON KEY: its first value that is a whole number; 0 when there is none
  local pattern="\"$2\"[[:space:]]*:[[:space:]]*([0-9]+)"
  if [[ $1 =~ $pattern ]]; then printf '%s' "${BASH_REMATCH[1]}"; else printf 0; fi
}

now_ms() {
  if ((BASH_VERSINFO[0] >= 5)); then
    local now=${EPOCHREALTIME/./}
    printf '%s' "${now%???}"
  else
    printf '%s000' "$(date +%s)" # BSD date knows no fractions
  fi
}

# --- talking to the server ---------------------------------------------------

base_url() {
  local url=${FLUX_URL:-http://localhost:3000}
  printf '%s' "${url%%+(/)}"
}

time_limit() {
  local seconds=${FLUX_TIMEOUT:-60}
  [[ $seconds == +([0-9])?(.+([0-9])) ]] ||
    misused 'FLUX_TIMEOUT must be a number of seconds'
  printf '%s' "$seconds"
}

authorization() { # TOKEN: the header line, none without a token
  [[ -z $1 ]] || printf 'Authorization: Bearer %s\n' "$1"
}

refused() { # STATUS BODY REDIRECT: say what the server said
  local message code
  if [[ -n $3 ]]; then
    message="the server redirects to $3: is FLUX_URL right?"
  elif ! message=$(json_text "$2" error); then
    message="the answer is no Flux error: $(printable "${2:-empty}")"
  fi
  code=$(json_text "$2" code) || code=
  say "$message (${code:+$code, }HTTP $1)"
  exit 1
}

# request METHOD PATH TOKEN [CURL_OPTION...]: sets ANSWER, or ends the program.
# The token reaches curl through a pipe: arguments are open to every user's ps.
request() {
  local method=$1 path=$2 token=$3 limit url status redirect failure=0
  shift 3
  [[ $token != *[[:cntrl:]]* ]] ||
    misused 'the token contains a control character (a line end?)'
  limit=$(time_limit)
  url=$(base_url)
  ANSWER=$(
    curl -q --silent --show-error --globoff --path-as-is --proto =http,https \
      --connect-timeout "$CONNECT_SECONDS" --max-time "$limit" \
      --header 'Accept: application/json' --header @<(authorization "$token") \
      --write-out '\n%{redirect_url}\n%{http_code}' \
      --request "$method" "$@" --url "$url$path"
  ) || failure=$?
  status=${ANSWER: -3}
  ANSWER=${ANSWER%$'\n'*}
  redirect=$ANSWER
  ANSWER=${ANSWER%$'\n'*}
  redirect=${redirect:${#ANSWER}+1}
  # An upload that is refused early can break the connection behind the answer.
  if [[ $status == [345]?? ]]; then refused "$status" "$ANSWER" "$redirect"; fi
  if ((failure)); then
    say "no answer from $url (curl ended with $failure)"
    exit 3
  fi
  if [[ $status != 2?? || ${ANSWER:$(leading_space "$ANSWER"):1} != [\{\[] ]]; then
    say "$url answered something other than JSON (HTTP $status): is it a Flux server?"
    exit 3
  fi
}

send() { # METHOD PATH TOKEN: the same with the body from stdin
  request "$@" --header 'Content-Type: application/json' --data-binary @-
}

# send_json COMMAND METHOD PATH TOKEN JSON: the body may be large, so it never becomes
# an argument of another program.
send_json() {
  local command=$1 json=$5
  set -- "$2" "$3" "$4"
  case $json in
    -) send "$@" ;;
    @*)
      readable "$command" "${json#@}"
      send "$@" <"${json#@}"
      ;;
    *) send "$@" < <(printf '%s' "$json") ;;
  esac
}

readable() { # COMMAND FILE
  [[ -r $2 && ! -d $2 ]] || misused "cannot read $2" "$1"
}

read_text() { # COMMAND JSON: what JSON, - or @FILE stands for, into TEXT
  local whole=yes
  case $2 in
    -) IFS= read -r -d '' TEXT && whole= ;;
    @*)
      readable "$1" "${2#@}"
      IFS= read -r -d '' TEXT <"${2#@}" && whole=
      ;;
    *) TEXT=$2 ;;
  esac
  [[ -n $whole ]] || misused 'the JSON contains a NUL byte' "$1"
}

keeps_numbers() { # does this jq print a number as it was written? 1.6 does not
  [[ $(jq -c . <<<'[1.10,12345678901234567890]' 2>&1) == '[1.10,12345678901234567890]' ]]
}

show() {
  if [[ -t 1 ]] && command -v jq >/dev/null && keeps_numbers; then
    jq . <<<"$ANSWER"
  else
    printf '%s\n' "$ANSWER"
  fi
}

show_counted() { # DONE_KEY NOUN: what a batch did; ends with 1 when a part failed
  local done_count failed first
  show
  done_count=$(json_count "$ANSWER" "$1")
  failed=$(json_count "$ANSWER" failed)
  ((failed)) || return 0
  first=$(json_text "$ANSWER" error || json_text "$ANSWER" errors) ||
    first='see the answer'
  say "$failed of $((done_count + failed)) $2 failed: $first"
  exit 1
}

# --- commands ----------------------------------------------------------------

entity_path() { printf '/api/state/entities/%s' "$(percent_encoded "$1")"; }

run_health() {
  request GET /api/health "$token"
  show
}

run_publish() {
  local body
  [[ -n $3 ]] || misused 'ENTITY_ID is empty' publish
  read_text publish "$4"
  closes_where_it_ends "$TEXT" || misused 'PROPERTIES_JSON is not a JSON object' publish
  body="{\"stream\":$(json_string "$1"),\"source\":$(json_string "$2")"
  body+=",\"timestamp\":$(now_ms),\"payload\":{\"entity_id\":$(json_string "$3")"
  body+=",\"properties\":$TEXT}}"
  send POST /api/events "$token" < <(printf '%s' "$body")
  show
}

run_get() {
  [[ -n $1 ]] || misused 'ENTITY_ID is empty' get
  request GET "$(entity_path "$1")" "$token"
  show
}

run_list() {
  local query=''
  while (($#)); do
    case $1 in
      --prefix | --namespace)
        (($# > 1)) || misused "$1 needs a value" list
        query+="&${1#--}=$(percent_encoded "$2")"
        shift 2
        ;;
      --prefix=* | --namespace=*)
        set -- "${1%%=*}" "${1#*=}" "${@:2}"
        ;;
      *) misused "unknown argument: $1" list ;;
    esac
  done
  request GET "/api/state/entities${query:+?${query#&}}" "$token"
  show
}

run_delete() {
  [[ -n $1 ]] || misused 'ENTITY_ID is empty' delete
  request DELETE "$(entity_path "$1")" "$token"
  show
}

run_batch() {
  send_json batch POST /api/events/batch "$token" "$1"
  show_counted successful events
}

run_batch_delete() {
  send_json batch-delete POST /api/state/entities/delete "$token" "$1"
  show_counted deleted deletions
}

run_connectors() {
  request GET /api/connectors "$token"
  show
}

run_admin_config() {
  if (($#)); then
    send_json admin-config PUT /api/admin/config "${FLUX_ADMIN_TOKEN:-}" "$1"
  else
    request GET /api/admin/config "$token"
  fi
  show
}

# --- which command -----------------------------------------------------------

check_arguments() { # COMMAND ARGUMENT...: as many as it takes
  local command=$1 least most
  shift
  case $command in
    health | connectors) least=0 most=0 ;;
    get | delete | batch | batch-delete) least=1 most=1 ;;
    publish) least=4 most=4 ;;
    admin-config) least=0 most=1 ;;
    *) return 0 ;;
  esac
  (($# >= least)) || misused "$command: an argument is missing" "$command"
  (($# <= most)) || misused "$command: too many arguments" "$command"
}

main() {
  local command=${1-} token=${FLUX_TOKEN:-}
  (($#)) || misused 'no command given'
  shift
  case $command in
    help | -h | --help)
      if (($#)); then help_one "$1"; else help_all; fi
      return
      ;;
  esac
  usage_of "$command" >/dev/null || misused "unknown command: $command"
  case ${1-} in
    -h | --help)
      help_one "$command"
      return
      ;;
    --) shift ;;
  esac
  command -v curl >/dev/null || { say 'curl is not installed' && exit 3; }
  check_arguments "$command" "$@"
  "run_${command//-/_}" "$@"
}

main "$@"
