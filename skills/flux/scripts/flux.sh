#!/usr/bin/env bash
# Flux from the command line: publish events; read, list, watch and delete entities;
# buy or register a namespace and keep its tokens.
#
# Needs bash 3.2 or newer and curl; of the tools that every system has, sleep (watch,
# claim), mkdir, mv and rm (buy, claim) and, where bash is older than 5, date (publish,
# claim). What the server answers goes to
# stdout as it came, numbers untouched, and only when it is complete. jq, when
# present, lays it out on a terminal.
#
# Exit status: 0 done, 1 refused by the server (or some items of a batch were),
# 2 wrong usage, 3 no usable answer: the request may or may not have arrived;
# above 128 ended by a signal, which is how watch ends. claim: 1 also when there is
# nothing to claim yet.

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
SHOWN=  # what the last make_printable brought

WHOSE=FLUX_TOKEN # the variable whose token is sent

# --- help --------------------------------------------------------------------

readonly COMMANDS='health publish get list watch delete batch batch-delete connectors admin-config
buy claim register namespace tokens token-create token-rotate token-revoke'

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
    watch) printf '%s\n' \
      'watch [ENTITY_ID | --prefix PREFIX | --namespace NAME] [OPTION...]' \
      'Show changes as they happen, those of everything by default, until Ctrl-C.' ;;
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
    buy) printf '%s\n' 'buy EMAIL' \
      'Begin to buy a namespace: says where a person pays, and keeps it for claim.' ;;
    claim) printf '%s\n' 'claim [PURCHASE_ID [CLAIM_SECRET]] [OPTION...]' \
      'Get the token of what was bought, which is shown now and never again.' ;;
    register) printf '%s\n' 'register NAME [--token-only]' \
      'Register a namespace. Its first token is shown now and never again.' ;;
    namespace) printf '%s\n' 'namespace NAME' \
      'Show when a namespace was registered and how many entities it has.' ;;
    tokens) printf '%s\n' 'tokens [NAME]' \
      "Show a namespace's tokens: what they may do, when they were used. No secrets." ;;
    token-create) printf '%s\n' 'token-create LABEL [OPTION...]' \
      'Make a token, which is shown now and never again. It publishes, if not told else.' ;;
    token-rotate) printf '%s\n' 'token-rotate ID [--overlap SECONDS] [OPTION...]' \
      'Give a token a new secret, which is shown now and never again. Its id stays.' ;;
    token-revoke) printf '%s\n' 'token-revoke ID [--namespace NAME]' \
      'Revoke a token: it is refused everywhere within a second.' ;;
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
    'FLUX_NAMESPACE    the namespace of tokens and token-... without --namespace' \
    'FLUX_ADMIN_TOKEN  operator token, for changing admin-config and for register' \
    'FLUX_TIMEOUT      seconds one request may take (60), but for watch' \
    'FLUX_PURCHASE_FILE, FLUX_CLAIM_SECRET  see help buy and help claim'
}

help_one() { # COMMAND
  local text
  text=$(usage_of "$1") || misused "unknown command: $1"
  printf 'usage: %s %s\n\n%s\n' "$PROGRAM" "${text%%$'\n'*}" "${text#*$'\n'}"
  case $text in
    *_JSON*) printf '%s\n' "The JSON may be - (read stdin) or @FILE." ;;
    watch*) printf '%s\n' '' \
      '--since SEQ   begin with what happened behind this place in the log' \
      '--snapshot    begin with the state as it is now' \
      '--count N     end (with 0) after N events; those of --since count' \
      '--metrics     also show the figures that the server sends every 2 seconds' \
      '--raw         JSON on a terminal, too' '' \
      'One line per frame: what the server sent, as JSON, or on a terminal for people.' \
      'A lost connection is made again and goes on where it was: no event is missed' \
      'and none is shown twice.' ;;
  esac
  case $1 in
    token-create) printf '%s\n' '' \
      '--scope SCOPE         publish, delete, connectors or tokens; may be repeated' \
      '--prefix PREFIX       only for ids that begin so, as NAME/part/' \
      '--expires-in SECONDS  it ends by itself then' ;;
    token-rotate) printf '%s\n' '' \
      '--overlap SECONDS     the old secret works on for so long; default 0' ;;
    claim) printf '%s\n' '' \
      '--wait SECONDS        wait so long for the payment, until its checkout ends' ;;
    register | tokens | token-revoke) printf '\n' ;;
  esac
  case $1 in
    claim | register | token-create | token-rotate) printf '%s\n' \
      '--token-only          print nothing but the token, as for a variable' ;;
  esac
  case $1 in
    buy) printf '%s\n' '' \
      'The answer has the claim secret: who knows it gets the token. It is kept, for' \
      "you alone to read, in $(kept_in)" \
      'or in the file that FLUX_PURCHASE_FILE names. The receipt goes to EMAIL.' ;;
    claim) printf '%s\n' '' \
      'Without arguments it claims what buy has kept, at the server where it was bought;' \
      'with PURCHASE_ID one that was set aside, or one whose secret is in the variable' \
      "FLUX_CLAIM_SECRET. As an argument a secret is open to every user's ps." \
      'An answer that got lost: claim again, until the token is used, for a day.' ;;
    register) printf '%s\n' '' \
      'Needs FLUX_ADMIN_TOKEN, where registration is not open to everyone.' ;;
    tokens | token-*) printf '%s\n' \
      '--namespace NAME      default: FLUX_NAMESPACE' '' \
      'Needs FLUX_TOKEN with the scope tokens or, if that is not set, FLUX_ADMIN_TOKEN.' ;;
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

make_printable() { # TEXT: into SHOWN; safe on a terminal, not too long, no character cut
  SHOWN=${1:0:SHOWN_BYTES}
  if ((${#1} > SHOWN_BYTES)); then
    while [[ $SHOWN == *[$'\x80'-$'\xbf'] ]]; do SHOWN=${SHOWN%?}; done
    SHOWN=${SHOWN%[$'\xc0'-$'\xff']}…
  fi
  SHOWN=${SHOWN//[[:cntrl:]]/ }
  # U+0080 to U+009F: some terminals obey them.
  SHOWN=${SHOWN//$'\xc2'[$'\x80'-$'\x9f']/ }
}

printable() { # TEXT: the same, to stdout
  make_printable "$1"
  printf '%s' "$SHOWN"
}

# The readers below look for a key in answers that Flux writes. Inside a JSON string a
# quote is escaped, so that no value can pass for a key.

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

json_word() { # JSON KEY: its first value that is a string, if it is all visible ASCII
  local pattern="\"$2\"[[:space:]]*:[[:space:]]*\"([^\"\\]+)\""
  [[ $1 =~ $pattern && ${BASH_REMATCH[1]} == +([[:graph:]]) ]] || return 1
  printf '%s' "${BASH_REMATCH[1]}"
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

# The head of the last answer; no STATUS: there was none.
STATUS=
TYPE=
REDIRECT=
RETRY_AFTER=0
FAILURE=0 # how curl ended

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

refusal() { # STATUS BODY REDIRECT: what the server said
  local message code
  if [[ -n $3 ]]; then
    message="the server redirects to $3: is FLUX_URL right?"
  elif ! message=$(json_text "$2" error); then
    message="the answer is no Flux error: $(printable "${2:-empty}")"
  fi
  code=$(json_text "$2" code) || code=
  printf '%s' "$message (${code:+$code, }HTTP $1)"
}

refused() { # STATUS BODY REDIRECT [TOKEN [SECONDS]]: say it and what helps, and end
  local why
  why=$(refusal "$1" "$2" "$3")
  say "$why"
  case $1 in
    401)
      if [[ -z ${4-} ]]; then say "$WHOSE is not set"; else say "$WHOSE was not accepted"; fi
      ;;
    429 | 503)
      # Some of the server's sentences say it themselves.
      [[ -z ${5-} || $why == *" $5 s"* ]] || say "try again in $5 s"
      ;;
  esac
  exit 1
}

# request METHOD PATH TOKEN [CURL_OPTION...]: sets ANSWER, or ends the program.
request() {
  exchange "$@"
  judge "$3"
}

# exchange METHOD PATH TOKEN [CURL_OPTION...]: sets ANSWER and the variables above.
# The token reaches curl through a pipe: arguments are open to every user's ps.
exchange() {
  local method=$1 path=$2 token=$3 limit url
  shift 3
  [[ $token != *[[:cntrl:]]* ]] ||
    misused 'the token contains a control character (a line end?)'
  limit=$(time_limit)
  url=$(base_url)
  FAILURE=0
  ANSWER=$(
    curl -q --silent --show-error --globoff --path-as-is --proto =http,https \
      --connect-timeout "$CONNECT_SECONDS" --max-time "$limit" \
      --header 'Accept: application/json' --header @<(authorization "$token") \
      --write-out '\n%{redirect_url}\n%header{retry-after}\n%{http_code}' \
      --request "$method" "$@" --url "$url$path"
  ) || FAILURE=$?
  STATUS=${ANSWER: -3}
  ANSWER=${ANSWER%$'\n'*}
  RETRY_AFTER=$ANSWER
  ANSWER=${ANSWER%$'\n'*}
  RETRY_AFTER=${RETRY_AFTER:${#ANSWER}+1}
  # curl before 7.84 knows no headers here and writes their names down.
  [[ $RETRY_AFTER == +([0-9]) ]] || RETRY_AFTER=
  REDIRECT=$ANSWER
  ANSWER=${ANSWER%$'\n'*}
  REDIRECT=${REDIRECT:${#ANSWER}+1}
}

judge() { # TOKEN: end the program, unless the answer is one of success
  local url
  url=$(base_url)
  # An upload that is refused early can break the connection behind the answer.
  if [[ $STATUS == [345]?? ]]; then
    refused "$STATUS" "$ANSWER" "$REDIRECT" "$1" "$RETRY_AFTER"
  fi
  if ((FAILURE)); then
    say "no answer from $url (curl ended with $FAILURE)"
    exit 3
  fi
  if [[ $STATUS == 204 && -z $ANSWER ]]; then return; fi
  if [[ $STATUS != 2?? || ${ANSWER:$(leading_space "$ANSWER"):1} != [\{\[] ]]; then
    say "$url answered something other than JSON (HTTP $STATUS): is it a Flux server?"
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
    WHOSE=FLUX_ADMIN_TOKEN
    send_json admin-config PUT /api/admin/config "${FLUX_ADMIN_TOKEN:-}" "$1"
  else
    request GET /api/admin/config "$token"
  fi
  show
}

# --- namespaces and their tokens ---------------------------------------------

SUBJECT=    # the name, label or id that a command below is about
NAMESPACE=  # --namespace
FIELDS=     # of the body, as JSON, each behind a comma
SCOPES=     # those wanted, as JSON strings
TOKEN_ONLY= # print nothing else

run_register() {
  local body
  tenant_arguments register "$@"
  WHOSE=FLUX_ADMIN_TOKEN
  body="{\"name\":$(json_string "$SUBJECT")}"
  send POST /api/namespaces "${FLUX_ADMIN_TOKEN:-}" < <(printf '%s' "$body")
  show_token
}

run_namespace() {
  local path
  tenant_arguments namespace "$@"
  NAMESPACE=$SUBJECT
  path=$(namespace_path namespace)
  request GET "$path" "$token"
  show
}

run_tokens() {
  local path
  tenant_arguments tokens "$@"
  NAMESPACE=${NAMESPACE:-$SUBJECT}
  path=$(namespace_path tokens)
  choose_token
  request GET "$path/tokens" "$token"
  show
}

run_token_create() {
  local path body
  tenant_arguments token-create "$@"
  path=$(namespace_path token-create)
  choose_token
  body="{\"label\":$(json_string "$SUBJECT")${SCOPES:+,\"scopes\":[$SCOPES]}$FIELDS}"
  send POST "$path/tokens" "$token" < <(printf '%s' "$body")
  show_token
}

run_token_rotate() {
  local path
  tenant_arguments token-rotate "$@"
  path=$(namespace_path token-rotate)
  path+=/tokens/$(percent_encoded "$SUBJECT")/rotate
  choose_token
  send POST "$path" "$token" < <(printf '{%s}' "${FIELDS#,}")
  show_token
}

run_token_revoke() {
  local path
  tenant_arguments token-revoke "$@"
  path=$(namespace_path token-revoke)
  choose_token
  request DELETE "$path/tokens/$(percent_encoded "$SUBJECT")" "$token"
}

tenant_arguments() { # COMMAND ARGUMENT...: into the variables above
  local command=$1 has_options=yes has_subject=
  shift
  while (($#)); do
    case $has_options:$1 in
      yes:--) has_options= ;;
      yes:--token-only)
        [[ $command == @(register|token-create|token-rotate) ]] ||
          misused "unknown argument: $1" "$command"
        TOKEN_ONLY=yes
        ;;
      yes:--*=*)
        set -- "${1%%=*}" "${1#*=}" "${@:2}"
        continue
        ;;
      yes:--*)
        tenant_option "$command" "$@"
        shift
        ;;
      yes:-*) misused "unknown argument: $1" "$command" ;;
      *)
        [[ -z $has_subject ]] || misused "$command: too many arguments" "$command"
        [[ -n $1 ]] || misused "$command: an argument is empty" "$command"
        SUBJECT=$1 has_subject=yes
        ;;
    esac
    shift
  done
  [[ -n $has_subject || $command == tokens ]] ||
    misused "$command: an argument is missing" "$command"
}

tenant_option() { # COMMAND OPTION [VALUE...]
  case $1$2 in
    tokens--namespace | token-*--namespace) ;;
    token-create--@(scope|prefix|expires-in) | token-rotate--overlap) ;;
    *) misused "unknown argument: $2" "$1" ;;
  esac
  (($# > 2)) || misused "$2 needs a value" "$1"
  case $2 in
    --namespace) NAMESPACE=$3 ;;
    --scope) SCOPES+=${SCOPES:+,}$(json_string "$3") ;;
    --prefix) FIELDS+=",\"prefix\":$(json_string "$3")" ;;
    *)
      [[ $3 == @(0|[1-9]*([0-9])) ]] || misused "$2 needs a number of seconds" "$1"
      if [[ $2 == --overlap ]]; then FIELDS+=",\"overlap_seconds\":$3"; else
        FIELDS+=",\"expires_in_seconds\":$3"
      fi
      ;;
  esac
}

namespace_path() { # COMMAND
  local name=${NAMESPACE:-${FLUX_NAMESPACE:-}}
  [[ -n $name ]] || misused 'which namespace? FLUX_NAMESPACE is not set' "$1"
  printf '/api/namespaces/%s' "$(percent_encoded "$name")"
}

choose_token() { # the namespace's own goes first: it can do no harm elsewhere
  if [[ -z $token && -n ${FLUX_ADMIN_TOKEN:-} ]]; then
    WHOSE=FLUX_ADMIN_TOKEN token=$FLUX_ADMIN_TOKEN
  fi
}

show_token() { # what a token came with, or nothing but the token
  if [[ -z $TOKEN_ONLY ]]; then
    show
  else
    printf '%s\n' "$(json_text "$ANSWER" token)"
  fi
}

# --- buying a namespace ------------------------------------------------------

# From buy to claim, and beyond, a purchase lies in a file: the answer to a claim can
# get lost, and may then be asked for again. Who reads the file can claim.

readonly POLL_SECONDS=2
# What is paid becomes a namespace in moments.
readonly MAKING_SECONDS=60

KEPT=     # the file
SERVER=   # what is in it: where it was bought,
PURCHASE= # its id,
SECRET=   # its claim secret,
CHECKOUT= # where it is paid, if anything is to be paid,
CLAIMED=  # and whether its token was shown
ENDS=     # when its checkout ends
PATIENCE=0 # --wait

kept_in() { # the file where purchases are kept
  local state=${XDG_STATE_HOME:-}
  # The specification of these folders wants it absolute, or ignored.
  [[ $state == /* ]] || state=${HOME:+$HOME/.local/state}
  printf '%s' "${FLUX_PURCHASE_FILE:-${state:+$state/flux/purchase}}"
}

run_buy() {
  local body bought secret checkout
  [[ -n $1 ]] || misused 'EMAIL is empty' buy
  umask 077
  prepare_to_keep
  body="{\"email\":$(json_string "$1")}"
  send POST /api/purchases '' < <(printf '%s' "$body")
  checkout=$(checkout_in "$ANSWER")
  if ! bought=$(json_word "$ANSWER" purchase_id) || [[ $bought == *[!A-Za-z0-9_-]* ]] ||
    ! secret=$(json_word "$ANSWER" claim_secret); then
    say "$(base_url) answered something other than a purchase: is it a Flux server?"
    exit 3
  fi
  set_aside || KEPT=$KEPT.$bought # where claim finds it, too
  SERVER=$(base_url) PURCHASE=$bought SECRET=$secret CHECKOUT=$checkout CLAIMED=
  keep || say "cannot write $KEPT: keep purchase_id and claim_secret of this answer"
  show
  tell_how_to_pay
}

prepare_to_keep() { # find out what is in the way before anything is bought
  local folder=.
  KEPT=$(kept_in)
  [[ -n $KEPT ]] || misused 'neither HOME nor FLUX_PURCHASE_FILE is set' buy
  [[ $KEPT != */* ]] || folder=${KEPT%/*}/
  [[ -d $folder ]] || mkdir -p -- "$folder" ||
    misused "cannot make the folder $folder; FLUX_PURCHASE_FILE names another file" buy
  [[ -w $folder && ! -d $KEPT ]] ||
    misused "cannot write $KEPT; FLUX_PURCHASE_FILE names another file" buy
  [[ ! -s $KEPT ]] || read_purchase "$KEPT" ||
    misused "$KEPT holds no purchase; FLUX_PURCHASE_FILE names another file" buy
}

set_aside() { # what nobody has claimed can still be claimed afterwards
  if [[ -s $KEPT ]] && read_purchase "$KEPT" && [[ -z $CLAIMED ]]; then
    mv -f -- "$KEPT" "$KEPT.$PURCHASE" || return 1
    say "$PURCHASE, bought before and not claimed, is now in $KEPT.$PURCHASE"
    say "claim it with: $PROGRAM claim $PURCHASE"
  fi
}

keep() { # write the file, whole or not at all
  local new=$KEPT.$$.$RANDOM
  if (
    set -C # a file, or a link, that somebody has put there is not written to
    printf '%s\n' "server=$SERVER" "purchase=$PURCHASE" "secret=$SECRET" \
      "checkout=$CHECKOUT" "claimed=$CLAIMED" >"$new"
  ) && mv -f -- "$new" "$KEPT"; then
    return
  fi
  rm -f -- "$new"
  return 1
}

read_purchase() { # FILE: into the variables above; fails if there is none in it
  local line
  SERVER='' PURCHASE='' SECRET='' CHECKOUT='' CLAIMED=
  [[ -r $1 && ! -d $1 ]] || return 1
  while IFS= read -r line; do
    case $line in
      server=*) SERVER=${line#*=} ;;
      purchase=*) PURCHASE=${line#*=} ;;
      secret=*) SECRET=${line#*=} ;;
      checkout=*) CHECKOUT=${line#*=} ;;
      claimed=*) CLAIMED=${line#*=} ;;
    esac
  done <"$1"
  [[ -n $SERVER && $PURCHASE == +([A-Za-z0-9_-]) && -n $SECRET ]]
}

checkout_in() { # JSON: where it is paid; nothing, if nothing is to be paid
  local url
  url=$(json_word "$1" checkout_url) || url=
  [[ $url != http?(s)://* ]] || printf '%s' "$url"
}

tell_how_to_pay() {
  local then="$PROGRAM claim"
  [[ $KEPT == "$(kept_in)" ]] || then+=" $PURCHASE"
  if [[ -n $CHECKOUT ]]; then
    say "$(price_in "$ANSWER"), to be paid by a person at $CHECKOUT"
    say "then: $then (or now: $then --wait 900)"
  else
    say "nothing to pay; go on with: $then"
  fi
}

price_in() { # JSON: 9.00 USD. How many decimals, as the server's namespaces/money.py
  local amount currency places=2
  amount=$(json_count "$1" amount)
  currency=$(json_word "$1" currency) || currency=
  case $currency in
    bif | clp | djf | gnf | jpy | kmf | krw | mga) places=0 ;;
    pyg | rwf | vnd | vuv | xaf | xof | xpf) places=0 ;;
    bhd | jod | kwd | omr | tnd) places=3 ;;
  esac
  if ((places)); then
    while ((${#amount} <= places)); do amount=0$amount; done
    amount=${amount:0:${#amount}-places}.${amount:${#amount}-places}
  fi
  printf '%s %s' "$amount" "$(upper_case "$currency")"
}

upper_case() { # WORD; bash 3.2 has nothing for it
  local small=abcdefghijklmnopqrstuvwxyz large=ABCDEFGHIJKLMNOPQRSTUVWXYZ before i
  for ((i = 0; i < ${#1}; i++)); do
    before=${small%%"${1:i:1}"*}
    if ((${#before} < 26)); then printf '%s' "${large:${#before}:1}"; else
      printf '%s' "${1:i:1}"
    fi
  done
}

run_claim() {
  claim_arguments "$@"
  umask 077
  if [[ $SERVER != "$(base_url)" ]]; then
    say "this was bought at $SERVER: it is claimed there${FLUX_URL:+, not at FLUX_URL}"
    FLUX_URL=$SERVER
  fi
  WHOSE='the claim secret'
  claim_when_made
  show_token
  CLAIMED=yes
  [[ -z $KEPT ]] || keep || say "cannot write into $KEPT that this was claimed"
  tell_how_to_use
}

claim_arguments() { # ARGUMENT...: into the variables above
  local has_options=yes found=()
  while (($#)); do
    case $has_options:$1 in
      yes:--) has_options= ;;
      yes:--token-only) TOKEN_ONLY=yes ;;
      yes:--wait=*)
        set -- "${1%%=*}" "${1#*=}" "${@:2}"
        continue
        ;;
      yes:--wait)
        [[ ${2-} == @(0|[1-9]*([0-9])) ]] ||
          misused "$1 needs a number of seconds" claim
        PATIENCE=$2
        shift
        ;;
      yes:-*) misused "unknown argument: ${1%%=*}" claim ;;
      *)
        [[ -n $1 ]] || misused 'claim: an argument is empty' claim
        found+=("$1")
        ;;
    esac
    shift
  done
  ((${#found[@]} <= 2)) || misused 'claim: too many arguments' claim
  choose_purchase ${found[@]+"${found[@]}"}
}

choose_purchase() { # [PURCHASE_ID [CLAIM_SECRET]]
  local file
  file=$(kept_in)
  for KEPT in "$file" "$file${1:+.$1}"; do
    if read_purchase "$KEPT" && [[ $PURCHASE == "${1:-$PURCHASE}" ]]; then
      SECRET=${2:-$SECRET}
      return
    fi
  done
  KEPT='' CHECKOUT='' PURCHASE=${1-} SECRET=${2:-${FLUX_CLAIM_SECRET:-}}
  SERVER=$(base_url)
  [[ -n $PURCHASE ]] || misused "no purchase is kept in ${file:-a file}; begin one with: flux.sh buy EMAIL" claim
  [[ -n $SECRET ]] ||
    misused "of $PURCHASE no secret is kept, and FLUX_CLAIM_SECRET is not set" claim
}

claim_when_made() { # into ANSWER, or end the program
  local path state='' told='' deadline=$PATIENCE
  path=/api/purchases/$(percent_encoded "$PURCHASE")
  SECONDS=0
  while :; do
    exchange GET "$path" "$SECRET"
    # Once there was an answer, a server may be away for a moment.
    if [[ -z $state || ($STATUS == [1234]?? && $STATUS != 429) ]]; then
      judge "$SECRET"
      state=$(progress "$ANSWER")
      CHECKOUT=$(checkout_in "$ANSWER")
      ENDS=$(json_word "$ANSWER" expires_at) || ENDS=
    fi
    if [[ $state == ready ]]; then
      exchange POST "$path/claim" "$SECRET" --data-binary ''
      [[ $STATUS == 409 && $(json_word "$ANSWER" code) == not_@(paid|ready) ]] || break
      state=making
    fi
    if [[ $state == making && $told != making ]]; then
      ((deadline >= SECONDS + MAKING_SECONDS)) || deadline=$((SECONDS + MAKING_SECONDS))
    fi
    if ((SECONDS >= deadline)) || is_over; then not_yet; fi
    [[ $told == "$state" ]] || tell_what_for
    told=$state
    sleep "$POLL_SECONDS"
  done
  judge "$SECRET"
}

progress() { # JSON: is it pending, making (its namespace), or ready for the last word?
  case $(json_word "$1" status) in
    pending) if [[ -n $(checkout_in "$1") ]]; then printf pending; else
      printf making # nothing is to be paid
    fi ;;
    paid) if json_word "$1" namespace >/dev/null; then printf ready; else
      printf making
    fi ;;
    *) printf ready ;; # where it is refused, the server knows best why
  esac
}

is_over() { # is there nothing to be paid any more?
  local now TZ=UTC0
  [[ $state == pending && $ENDS == ????-??-??T??:??:??* ]] || return 1
  if ((BASH_VERSINFO[0] >= 5)); then
    export TZ
    printf -v now '%(%Y-%m-%dT%H:%M:%S)T' -1
  else
    now=$(date -u +%Y-%m-%dT%H:%M:%S)
  fi
  [[ ${ENDS:0:19} < $now ]]
}

not_yet() {
  if [[ $state == making ]]; then
    say 'its namespace is still being made: claim it later'
  elif is_over; then
    say 'this was not paid, and its checkout has ended'
  else
    say "this is not paid yet: a person pays at $CHECKOUT"
    say 'then claim it again, or let claim --wait 900 wait for it'
  fi
  exit 1
}

tell_what_for() {
  if [[ $state == making ]]; then
    say 'waiting for its namespace to be made'
  else
    say "waiting $((deadline - SECONDS)) s at most for the payment at $CHECKOUT"
  fi
}

tell_how_to_use() { # without the token, which was shown and shall not be in two places
  local name too=''
  name=$(json_word "$ANSWER" name) || name=
  [[ -n $TOKEN_ONLY ]] || too=' FLUX_TOKEN=<the token above>'
  [[ $SERVER == http://localhost:3000 ]] || say "next: export FLUX_URL=$SERVER"
  say "next: export FLUX_NAMESPACE=$name$too"
}

# --- watching ----------------------------------------------------------------

# Server-Sent Events from curl, line by line. The frames of one event are printed
# together, with its last one, and from then on SEEN is its seq. So a connection that
# is made anew goes on behind SEEN without missing or repeating anything.

readonly LONGEST_PAUSE=30
# The server says something every two seconds; so long a silence is a dead line.
readonly SILENT_SECONDS=60
# Of a long frame, so much is looked at to show it to people.
readonly LOOKED_AT_BYTES=8192

KIND=entity_id # what is asked for: by id, prefix or namespace,
WANTED='*'     # and which
SEEN=          # up to this seq everything was printed
HELD=()        # frames of an event that is not complete yet
CHILD=         # the running curl, or sleep
IS_RAW=        # print JSON
IS_WHOLE=      # it begins with a snapshot: only behind that is a place to go on from
METRICS=       # show the figures, too
IS_STATE=      # what comes now is the state, not what happens
HAS_COUNT=     # end after LEFT events
LEFT=0

run_watch() {
  local path url is_known='' is_lost='' pause=1 why
  url=$(base_url)
  watch_arguments "$@"
  # Everything is asked for by name, too: only then the server says where it begins.
  path="/api/stream?$KIND=$(percent_encoded "$WANTED")"
  path+=${SEEN:+&since=$SEEN}${IS_WHOLE:+&snapshot=1}
  WANTED=$(json_string "$WANTED")
  WANTED=${WANTED:1:${#WANTED} - 2} # as it stands in frames
  trap 'hang_up' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  while :; do
    call "$path"
    if read_head && [[ $STATUS == 200 && $TYPE == text/event-stream* ]]; then
      [[ -z $is_lost ]] || say connected
      pause=1
      read_frames
      why='the connection is lost'
    else
      why=$(why_not "$url" "$is_known") || exit "$?"
    fi
    is_known=yes is_lost=yes CHILD='' HELD=() IS_STATE=
    ((RETRY_AFTER > pause)) || RETRY_AFTER=$pause
    say "$why; trying again in $RETRY_AFTER s${SEEN:+, behind seq $SEEN}"
    wait_for "$RETRY_AFTER"
    pause=$((pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE))
  done
}

why_not() { # URL IS_KNOWN: why there are no events, if it is worth trying again
  local body=''
  [[ $STATUS != [345]?? ]] || IFS= read -r -d '' body <&3 || :
  case $STATUS in
    429 | 502 | 503 | 504) refusal "$STATUS" "$body" '' ;;
    [345]??) refused "$STATUS" "$body" "$REDIRECT" ;;
    '')
      [[ -n $2 ]] || { say "no answer from $1" && exit 3; }
      printf '%s' "no answer from $1"
      ;;
    *)
      say "$1 answered something other than events (HTTP $STATUS): is it a Flux server?"
      exit 3
      ;;
  esac
}

wait_for() { # SECONDS
  # In the background, because bash heeds a signal only when a program has ended.
  sleep "$1" &
  CHILD=$!
  wait "$CHILD" || exit 3
  CHILD=
}

hang_up() {
  [[ -z $CHILD ]] || kill "$CHILD" 2>/dev/null || :
}

watch_arguments() { # ARGUMENT...: into the variables above
  local asked=0
  while (($#)); do
    case $1 in
      --prefix=* | --namespace=* | --since=* | --count=*)
        set -- "${1%%=*}" "${1#*=}" "${@:2}"
        continue
        ;;
      --prefix | --namespace | --since | --count)
        (($# > 1)) || misused "$1 needs a value" watch
        watch_value "${1#--}" "$2"
        shift 2
        continue
        ;;
      --snapshot) IS_WHOLE=yes ;;
      --metrics) METRICS=yes ;;
      --raw) IS_RAW=yes ;;
      --)
        shift
        (($# == 1)) || misused 'one ENTITY_ID must follow --' watch
        watch_value entity_id "$1"
        ;;
      -*) misused "unknown argument: $1" watch ;;
      *) watch_value entity_id "$1" ;;
    esac
    shift
  done
  ((asked < 2)) ||
    misused 'only one of ENTITY_ID, --prefix and --namespace is possible' watch
  [[ -z $IS_WHOLE || -z $SEEN ]] ||
    misused '--since and --snapshot exclude each other' watch
  [[ -t 1 ]] || IS_RAW=yes
}

watch_value() { # NAME VALUE
  case $1 in
    since)
      [[ $2 == +([0-9]) ]] || misused '--since needs a seq: a whole number' watch
      SEEN=$2
      ;;
    count)
      [[ $2 == [1-9]*([0-9]) ]] || misused '--count needs a number from 1' watch
      HAS_COUNT=yes LEFT=$2
      ;;
    *)
      [[ -n $2 || $1 == prefix ]] || misused "the $1 is empty" watch
      KIND=$1 WANTED=$2 asked=$((asked + 1))
      ;;
  esac
}

# The answer is read from descriptor 3; its first line is curl's process id, which bash
# tells in no other way before version 4.4.
call() { # PATH
  local resume=(--header 'Accept: text/event-stream')
  [[ -z $SEEN ]] || resume+=(--header "Last-Event-ID: $SEEN")
  [[ $token != *[[:cntrl:]]* ]] ||
    misused 'the token contains a control character (a line end?)'
  exec 3< <(
    # shellcheck disable=SC2016  # the inner shell shall expand them
    exec "$BASH" -c 'printf "%s\n" "$$" && exec "$@"' bash \
      curl -q --silent --show-error --globoff --path-as-is --proto =http,https \
      --no-buffer --include --suppress-connect-headers \
      --connect-timeout "$CONNECT_SECONDS" \
      --speed-limit 1 --speed-time "$SILENT_SECONDS" \
      --header @<(authorization "$token") "${resume[@]}" --url "$(base_url)$1"
  )
  IFS= read -r CHILD <&3 || CHILD=
}

read_head() { # the answer's head, up to the empty line; fails when it breaks off
  local line
  STATUS='' RETRY_AFTER=0 REDIRECT='' TYPE=''
  while IFS= read -r line <&3; do
    line=${line%$'\r'}
    case $line in
      HTTP/*) STATUS=${line#* } STATUS=${STATUS:0:3} ;;
      [Cc]ontent-[Tt]ype:*) TYPE=${line##+([!:]):*([[:space:]])} ;;
      [Ll]ocation:*) REDIRECT=${line##+([!:]):*([[:space:]])} ;;
      [Rr]etry-[Aa]fter:*([[:space:]])[0-9]?([0-9])?([0-9]))
        RETRY_AFTER=$((10#${line##*[!0-9]}))
        ;;
      '') [[ $STATUS == 1?? ]] || return 0 ;;
    esac
  done
  return 1
}

read_frames() { # until the connection ends
  local line id='' data=''
  while IFS= read -r line <&3; do
    case $line in
      'data: '*) data=${line:6} ;;
      'id: '*) id=${line:4} ;;
      '')
        [[ -z $data ]] || take "$data" "$id"
        id='' data=''
        ;;
    esac
  done
}

take() { # FRAME ID: hold it, or print it with those before it
  local kind=${1#'{"type":"'}
  kind=${kind:0:32}
  kind=${kind%%\"*}
  [[ $kind != metrics_update || -n $METRICS ]] || return 0
  HELD+=("$1")
  [[ ${1:${#1} < 13 ? 0 : ${#1} - 13} != ',"more":true}' ]] || return 0
  if [[ $kind != entity_deleted ]] || is_wanted "$1"; then
    if [[ -n $IS_RAW ]]; then put "${HELD[@]}"; else put_readable; fi
    count "$kind"
  fi
  HELD=()
  case $kind in
    subscribed) [[ -n $SEEN$IS_WHOLE ]] || SEEN=$(json_count "$1" seq) ;;
    replay_end) SEEN=$(json_count "$1" seq) ;;
    *) [[ $2 != +([0-9]) ]] || SEEN=$2 ;;
  esac
}

is_wanted() { # FRAME: of a deletion, of which everybody is told
  local id=${1#*\"entity_id\":\"}
  id=${id%%\",\"*}
  case $KIND in
    prefix) [[ $id == "$WANTED"* ]] ;;
    namespace) [[ $id == "$WANTED"/* || ($WANTED == default && $id != */*) ]] ;;
    *) [[ $WANTED == '*' || $id == "$WANTED" ]] ;;
  esac
}

count() { # KIND: the last frame of an event that was printed; or another frame
  case $1 in
    snapshot_start) IS_STATE=yes ;;
    snapshot_end) IS_STATE= ;;
    state_update | entity_*)
      [[ -n $HAS_COUNT && -z $IS_STATE ]] || return 0
      ((LEFT -= 1)) || exit 0
      ;;
  esac
}

put() { # LINE...
  # Who reads this may have seen enough.
  printf '%s\n' "$@" 2>/dev/null || exit 141
}

put_readable() {
  local frame
  for frame in "${HELD[@]}"; do
    make_readable "$frame" "$kind"
    put "$SHOWN"
  done
}

# Here and above pieces are cut out by what stands around them: inside a JSON string a
# quote is escaped, so that "," never stands there.
make_readable() { # FRAME KIND: one line for people, into SHOWN
  local head=${1:0:LOOKED_AT_BYTES} tail=$1 place entity property value
  ((${#tail} <= 120)) || tail=${tail:${#tail} - 120}
  case $2 in
    state_update | entity_touched | entity_deleted) ;;
    *)
      make_notice "$1" "$2"
      return
      ;;
  esac
  place=${tail##*\"timestamp\":\"}
  place=${place:0:23}Z$'  '${place##*\"seq\":}
  place=${place%%[,\}]*}
  head=${head#*\"entity_id\":\"}
  make_printable "${head%%\",\"*}"
  entity=$SHOWN
  case $2 in
    entity_touched) SHOWN="$place  $entity  touched" && return ;;
    entity_deleted) SHOWN="$place  $entity  deleted" && return ;;
  esac
  head=${head#*\",\"property\":\"}
  make_printable "${head%%\",\"value\":*}"
  property=$SHOWN
  value=${head#*\",\"value\":}
  ((${#1} > LOOKED_AT_BYTES)) || value=${value%,\"timestamp\":\"*}
  if [[ $value == 'null,"removed":true' ]]; then
    SHOWN="$place  $entity  $property removed"
  else
    make_printable "$value"
    SHOWN="$place  $entity  $property = $SHOWN"
  fi
}

make_notice() { # FRAME KIND: a frame about the connection, into SHOWN
  local seq from to number='([0-9.]+)[^0-9]+'
  seq=$(json_count "$1" seq) from=$(json_count "$1" from_seq) to=$(json_count "$1" to_seq)
  case $2 in
    subscribed) SHOWN="watching; the log is at $seq" ;;
    snapshot_start) SHOWN='the state as it is now:' ;;
    snapshot_end) SHOWN="that was the state at $seq" ;;
    replay_start) SHOWN="what happened from $from to $to:" ;;
    replay_end) SHOWN="that was the past, up to $seq" ;;
    conflated) SHOWN="from $from to $to only the newest values: too much for this reader" ;;
    *)
      if [[ $1 =~ rate_per_second\":$number$number$number'}' ]]; then
        SHOWN="${BASH_REMATCH[1]} events/s, ${BASH_REMATCH[2]} connections,"
        SHOWN+=" ${BASH_REMATCH[3]} publishers"
      else
        make_printable "$1"
      fi
      ;;
  esac
  SHOWN="-- $SHOWN"
}

# --- which command -----------------------------------------------------------

check_arguments() { # COMMAND ARGUMENT...: as many as it takes
  local command=$1 least most
  shift
  case $command in
    health | connectors) least=0 most=0 ;;
    buy | get | delete | batch | batch-delete) least=1 most=1 ;;
    publish) least=4 most=4 ;;
    admin-config) least=0 most=1 ;;
    *) return 0 ;;
  esac
  (($# >= least)) || misused "$command: an argument is missing" "$command"
  (($# <= most)) || misused "$command: too many arguments" "$command"
}

has_both() { # COMMAND: options, and what is none?
  [[ $1 == @(watch|claim|register|namespace|tokens|token-*) ]]
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
    --) has_both "$command" || shift ;;
  esac
  command -v curl >/dev/null || { say 'curl is not installed' && exit 3; }
  check_arguments "$command" "$@"
  "run_${command//-/_}" "$@"
}

main "$@"
