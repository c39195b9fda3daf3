# For the tests that compile for a Cortex-M4F: leaves with success, and says so, where there is no
# compiler; else makes the folder $scratch for as long as the test runs.
if ! command -v arm-none-eabi-g++ > /dev/null; then
  echo "SKIPPED: no arm-none-eabi-g++ here. Install gcc-arm-none-eabi and" \
    "libstdc++-arm-none-eabi-newlib."
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
