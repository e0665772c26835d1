#!/usr/bin/env bash
# Watches the nodes of scripts/cluster, which sources it: a line for every change, with the milliseconds that it took.
#
# A process a node asks it all the time over one connection, and writes "MS NODE WORD..." into a pipe when the answer is another
# one than before:
#
#   down | silent | primary TERM | replica PRIMARY CLAIM | none CLAIM
#
# MS is the wall clock when it was seen first: an end by the connection's, at once; a silence from the question on that got no
# answer; anything else within kPauseS. The reader of the pipe knows what was before, and tells.

# shellcheck disable=SC2154  # kHost, kNodes, kAnswerS are scripts/cluster's; now_ms, reply, state those of talk.bash
readonly kPauseS=0.03  # between two questions
readonly kSilentS=0.25 # without an answer, until a node is called silent

# --- a node's process

# tell MS WORDS
tell() {
  [[ $2 != "$told" ]] || return 0
  told=$2
  echo "$1 $n $2"
}

# What STATUS said, in `words`.
describe() {
  if [[ ${state[role]} == primary && ${state[serving]:-true} == true ]]; then
    words="primary ${state[term]:-0}"
  elif [[ -n ${state[primary]:-} && ${state[primary]} != "${state[node]:-}" ]]; then
    words="replica ${state[primary]} ${state[claim]:-sound}"
  else
    words="none ${state[claim]:-sound}"
  fi
}

watch_node() {
  local n=$1 port told="" words talk_fd="" idle_fd asked_ms status
  port=$(port_of "$n")
  exec {idle_fd}<> <(:) # a pipe that says nothing: to pause without a fork
  while [[ -d /proc/$$ ]]; do # as long as there is somebody to tell
    take_time
    asked_ms=$now_ms
    if [[ -z $talk_fd ]]; then
      if ! talk_open "$kHost" "$port"; then
        talk_fd=""
        tell "$now_ms" down
        read -r -t "$kPauseS" -u "$idle_fd" _ || true
        continue
      fi
      talk_auth "$kAnswerS" || true
    fi
    status=0
    talk "$kSilentS" HOLDFAST STATUS || status=$?
    while ((status > 128)); do
      tell "$asked_ms" silent
      status=0
      talk_read 1 || status=$?
    done
    if ((status == 0)); then
      if take_state "$reply"; then
        take_time
        describe
        tell "$now_ms" "$words"
      fi
      # Nothing is to come now but the end, which cuts the pause short.
      IFS= read -r -t "$kPauseS" -u "$talk_fd" _ 2>/dev/null || status=$?
    fi
    if ((status <= 128)); then
      talk_close
      talk_fd=""
    fi
  done
}

# --- the reader

# announce MS TEXT
announce() {
  printf '%(%H:%M:%S)T.%03d  %s\n' $(($1 / 1000)) $(($1 % 1000)) "$2"
}

# span MS: a length of time, in `text`.
span() {
  if (($1 < 10000)); then
    text="$1 ms"
  else
    text="$(($1 / 1000)).$(($1 % 1000 / 100)) s"
  fi
}

declare -A was=() gone_ms=() unsettled=() # unsettled: said to be without a primary
leader="" leader_term=0 leader_lost_ms=""

on_gone() {
  local ms=$1 n=$2 kind=$3 line
  line="n$n does not answer"
  [[ $kind != down ]] || line="n$n is gone"
  if [[ -z ${gone_ms[$n]:-} ]]; then
    gone_ms[$n]=$ms
    if [[ $leader == "$n" && -z $leader_lost_ms ]]; then
      leader_lost_ms=$ms
      line+="; it was the primary"
    fi
  fi
  announce "$ms" "$line"
}

on_primary() {
  local ms=$1 n=$2 term=$3 line text
  line="n$n is the primary, term $term"
  if ((term < leader_term)); then
    announce "$ms" "n$n says that it is the primary of term $term still"
    return
  elif [[ $leader == "$n" && -n ${gone_ms[$n]:-} ]]; then
    span $((ms - gone_ms[$n]))
    line="n$n is back after $text, still the primary, term $term"
  elif [[ -n $leader_lost_ms ]]; then
    span $((ms - leader_lost_ms))
    line+=", $text after n$leader was lost"
  elif [[ -n $leader && $leader != "$n" ]]; then
    line+=", after n$leader"
  fi
  gone_ms[$n]=""
  unsettled[$n]=""
  leader=$n
  leader_term=$term
  leader_lost_ms=""
  announce "$ms" "$line"
}

on_other() {
  local ms=$1 n=$2 kind=$3 of=$4 claim=$5 before=$6 line="" text
  local doing="is a replica of $of"
  [[ $kind == replica ]] || doing="sees no primary"
  case $claim in
    recovering) doing+=", fetching what it may have lost" ;;
    blank) doing+=", its disk is empty" ;;
  esac
  if [[ -n ${gone_ms[$n]:-} ]]; then
    span $((ms - gone_ms[$n]))
    line="n$n is back after $text and $doing"
  elif [[ -z $before ]]; then
    line="n$n $doing"
  elif [[ $before == primary* ]]; then
    line="n$n is no longer the primary"
    [[ $leader != "$n" ]] || leader_lost_ms=$ms
  elif [[ $claim == sound && $before != *" sound" ]]; then
    line="n$n holds everything again"
    [[ -z ${unsettled[$n]:-} || $kind == none ]] || line+=" and is a replica of $of"
  elif [[ $kind == replica && -n ${unsettled[$n]:-} ]]; then
    line="n$n $doing"
  fi
  gone_ms[$n]=""
  if [[ $kind == replica ]]; then
    unsettled[$n]=""
  elif [[ -n $line ]]; then
    unsettled[$n]=yes
  fi
  [[ -z $line ]] || announce "$ms" "$line"
}

on_change() {
  local ms=$1 n=$2 before=${was[$2]:-}
  shift 2
  was[$n]="$*"
  case $1 in
    down | silent) on_gone "$ms" "$n" "$1" ;;
    primary) on_primary "$ms" "$n" "$2" ;;
    replica) on_other "$ms" "$n" replica "$2" "$3" "$before" ;;
    none) on_other "$ms" "$n" none "" "$2" "$before" ;;
  esac
}

watch_all() {
  local n events watchers=() words
  exec {events}<> <(:)
  for n in "${kNodes[@]}"; do
    watch_node "$n" >&"$events" &
    watchers+=($!)
  done
  # shellcheck disable=SC2064  # the numbers of now
  trap "kill ${watchers[*]} 2>/dev/null || true" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  while read -r -a words; do
    on_change "${words[@]}"
  done <&"$events"
}
