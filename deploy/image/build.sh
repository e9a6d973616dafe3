#!/usr/bin/env bash
# Build the image for both architectures with docker buildx, its base pinned by digest. docs/image.md says more.
#
#   deploy/image/build.sh [--push | --output DEST] [--repository NAME] [--platform LIST] [--allow-dirty]
#
# Without --push or --output the image goes to dist/image.tar, an OCI archive. What the build was made of is recorded in
# dist/image.json, and what buildx says of the result in dist/image-metadata.json.
set -euo pipefail
cd "$(dirname "$0")/../.."

die() {
  printf 'build.sh: %s\n' "$1" >&2
  exit "${2:-1}"
}

repository=ghcr.io/tidegauge/tidegauge
platforms=linux/amd64,linux/arm64
output=type=oci,dest=dist/image.tar,rewrite-timestamp=true
allow_dirty=false

while [ $# -gt 0 ]; do
  case $1 in
    --push) output=type=image,push=true,rewrite-timestamp=true ;;
    --output | --repository | --platform)
      [ $# -ge 2 ] || die "$1 needs a value" 2
      case $1 in
        --output) output=$2 ;;
        --repository) repository=$2 ;;
        --platform) platforms=$2 ;;
      esac
      shift
      ;;
    --allow-dirty) allow_dirty=true ;;
    *) die "unknown word: $1 (see the head of this file)" 2 ;;
  esac
  shift
done

command -v docker >/dev/null || die 'docker is not on PATH' 3
docker buildx version >/dev/null 2>&1 || die 'docker has no buildx: https://docs.docker.com/go/buildx/' 3

# What is built must be what the revision says.
revision=$(git rev-parse HEAD)
if [ -n "$(git status --porcelain)" ]; then
  "$allow_dirty" || die 'the work tree has changes that are not committed; commit them, or give --allow-dirty' 4
  revision=$revision-dirty
fi
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' adapter/__init__.py)
[ -n "$version" ] || die 'adapter/__init__.py has no version'

# The commit's time dates the files and the image, so that the same commit gives the same image.
epoch=$(git log -1 --format=%ct)
created=$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)

# The base's index, which names the image of each architecture.
base=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
digest=$(docker buildx imagetools inspect "$base" --format '{{.Manifest.Digest}}') ||
  die "the digest of $base cannot be told" 5
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "the digest of $base is not one: $digest" 5

mkdir -p dist
docker buildx build \
  --platform "$platforms" \
  --build-arg "PYTHON_IMAGE=$base" \
  --build-arg "PYTHON_DIGEST=$digest" \
  --build-arg "SOURCE_DATE_EPOCH=$epoch" \
  --build-arg "VERSION=$version" \
  --build-arg "REVISION=$revision" \
  --build-arg "CREATED=$created" \
  --provenance mode=max \
  --sbom true \
  --tag "$repository:$version" \
  --output "$output" \
  --metadata-file dist/image-metadata.json \
  .

# Written last: a record is of a build that succeeded.
cat >dist/image.json <<RECORD
{
  "image": "$repository:$version",
  "revision": "$revision",
  "created": "$created",
  "platforms": "$platforms",
  "base": {"name": "$base", "digest": "$digest"}
}
RECORD
printf 'built %s for %s from %s@%s\n' "$repository:$version" "$platforms" "$base" "$digest"
