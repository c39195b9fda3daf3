#!/bin/sh
# No source of tflm_ops may compile to a fused multiply-add on the host, whatever the compiler and
# its flags; trainer_device_test.sh looks at the board's code. The compiler is asked for assembly
# and the assembly searched, after a check that the search finds the fused instruction of a plain
# a * b + c.
set -u
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
compilers=0
echo 'float f(float a, float b, float c) { return a * b + c; }' > "$scratch/control.cc"

# check NAME CONTRACTION COMPILER FLAGS...
check() {
  name=$1
  contract=-ffp-contract=$2
  shift 2
  if ! command -v "$1" > /dev/null; then
    echo "SKIPPED $name: no $1 here"
    return
  fi
  compilers=$((compilers + 1))
  "$@" -S "$scratch/control.cc" -O2 "$contract" -o "$scratch/control.s" || exit 1
  if ! grep -qiE '\<(vfn?m[as]|fmadd)' "$scratch/control.s"; then
    echo "FAILED $name: the control shows no fused instruction"
    failures=$((failures + 1))
  fi
  for source in tflm_ops/math/*.cc tflm_ops/draw/*.cc tflm_ops/store/*.cc tflm_ops/kernels/*.cc \
  tflm_ops/trainer/*.cc; do
    "$@" -S "$source" -std=gnu++14 -O2 "$contract" -I. -fno-exceptions -fno-rtti \
      -o "$scratch/out.s" || exit 1
    if grep -qiE '\<(vfn?m[as]|fmadd|fmsub|fnmadd|fnmsub)' "$scratch/out.s"; then
      echo "FAILED $name: $source is contracted"
      failures=$((failures + 1))
    fi
  done
  echo "checked $name"
}

# Clang contracts by default ("on") but, told "fast", no longer heeds the source.
case $(uname -m) in
  x86_64)
    check "g++ with FMA" fast g++ -mfma
    check "clang++ with FMA" on clang++ -mfma
    ;;
  aarch64)
    check "g++" fast g++
    check "clang++" on clang++
    ;;
esac
echo "$compilers compilers, $failures failures"
[ "$failures" -eq 0 ]
