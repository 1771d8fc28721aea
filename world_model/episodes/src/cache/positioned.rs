//! Reading and writing at a place of a file, from several threads at once.

use std::fs::File;

#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, target: &mut [u8], place: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, target, place)
}

#[cfg(unix)]
pub(super) fn write_all_at(file: &File, bytes: &[u8], place: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, place)
}

#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut target: &mut [u8], mut place: u64) -> std::io::Result<()> {
    while !target.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, target, place)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => {
                target = &mut target[count..];
                place += count as u64;
            }
        }
    }
    Ok(())
}

#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut place: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_write(file, bytes, place)?;
        bytes = &bytes[count..];
        place += count as u64;
    }
    Ok(())
}
