//! The tests of this crate as one program: they link it once.

mod as_people_have_it;
mod bad_data;
mod caching;
mod converting;
mod hdf5;
mod hdf5_writing;
mod hostile;
mod image_codec;
mod mixture;
mod official;
mod one_recording;
mod recording;
mod robomimic;
mod support;
mod swm_folders;
mod video_kinds;
mod video_timing;
mod video_writing;
mod videos;
mod warnings;
mod without_last_action;
