#!/bin/sh
# Fills corpus/ with what the targets begin with: seeds/, fixtures of the readers' tests, and this project's tasks.
set -eu
cd "$(dirname "$0")"
fixtures=../../world_model/episodes/tests/fixtures

# Folder of the corpus, number of a file in the target's list, file of a fixture.
replacing() { { printf "\\$(printf %03o "$2")"; cat "$fixtures/$3"; } >"corpus/$1/$2"; }

mkdir -p corpus
cp -r seeds/* corpus/
for target in recipe_toml task_toml lerobot lerobot_v21 hdf5 npz mp4 mjpeg frames policy_message; do mkdir -p "corpus/$target"; done
cp ../../assets/tasks/*.toml corpus/task_toml/
cp ../../assets/recipes/*.toml corpus/recipe_toml/
cp ../serving/tests/fixtures/*.msgpack corpus/policy_message/
v3=lerobot_v3_tiny_image v21=lerobot_v21_tiny folder=swm_folder_tiny
replacing lerobot 0 $v3/meta/info.json
replacing lerobot 1 $v3/meta/tasks.parquet
replacing lerobot 2 $v3/meta/stats.json
replacing lerobot 3 $v3/meta/episodes/chunk-000/file-000.parquet
replacing lerobot 4 $v3/data/chunk-000/file-000.parquet
replacing lerobot_v21 0 $v21/meta/info.json
replacing lerobot_v21 1 $v21/meta/episodes.jsonl
replacing lerobot_v21 2 $v21/meta/tasks.jsonl
replacing lerobot_v21 3 $v21/meta/episodes_stats.jsonl
replacing lerobot_v21 4 $v21/data/chunk-000/episode_000000.parquet
number=0
for array in action ep_len ep_offset state; do
  replacing npz $number $folder/$array.npz
  { printf "\\$(printf %03o $((number + 128)))"; unzip -p $fixtures/$folder/$array.npz; } >corpus/npz/$((number + 128))
  number=$((number + 1))
done
replacing npz 4 $folder/pixels/ep_0_step_0.jpeg
cp $fixtures/*/*.h5 $fixtures/*/*.hdf5 corpus/hdf5/
rm corpus/hdf5/toy_push.h5 # 750 kB: too large to change at random
cp $fixtures/lerobot_v3_tiny/videos/*/*/*.mp4 corpus/mp4/av1.mp4
cp $fixtures/lerobot_v3_tiny_h264/videos/*/*/*.mp4 corpus/mp4/h264.mp4
cp $fixtures/swm_video_tiny/pixels/*.mp4 corpus/mp4/
cp $fixtures/$folder/pixels/ep_0_step_0.jpeg corpus/image/
image=$fixtures/$folder/pixels/ep_0_step_0.jpeg
{
  printf '@'
  for _ in 1 2; do
    printf -- '--frame\r\nContent-Length: %d\r\n\r\n' "$(wc -c <$image)"
    cat $image
    printf '\r\n'
  done
} >corpus/mjpeg/stream
