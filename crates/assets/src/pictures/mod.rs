//! Images, without what cameras and programs write beside the picture, and without anything hidden behind it.
//!
//! A container is taken apart into what a picture needs; only that is put together again. Nothing is decoded,
//! so that no image costs more than its bytes.

mod gif;
mod jpeg;
mod png;
mod webp;

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageFormat, ImageReader, Limits};

/// Frames of an animation.
const MOST_FRAMES: usize = 1000;
/// Memory that reading the size of an image may take.
const MEMORY: u64 = 64 * 1024 * 1024;

const DAMAGED: &str = "the image is damaged";
const NOT_ALONE: &str = "something follows the image";

/// An image that is nothing but one.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) content: Bytes,
    pub(crate) width: i32,
    pub(crate) height: i32,
    /// Whether it is an animation.
    pub(crate) moves: bool,
}

/// What is kept of a container, and how many frames that has.
struct Kept {
    content: Vec<u8>,
    frames: usize,
}

type Result<T, E = &'static str> = std::result::Result<T, E>;

/// The picture in `content`, or why it is refused.
pub(crate) fn clean(content_type: &str, content: &[u8], most_pixels: u64) -> Result<Picture> {
    let format = ImageFormat::from_mime_type(content_type).ok_or(DAMAGED)?;
    let kept = match format {
        ImageFormat::Jpeg => jpeg::keep(content)?,
        ImageFormat::Png => png::keep(content)?,
        ImageFormat::Gif => gif::keep(content)?,
        ImageFormat::WebP => webp::keep(content)?,
        _ => return Err(DAMAGED),
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(&kept.content), format);
    reader.limits(limits);
    let (width, height) = reader.into_dimensions().map_err(|_| DAMAGED)?;
    if u64::from(width) * u64::from(height) > most_pixels {
        return Err("the image has too many pixels");
    }
    if kept.frames > MOST_FRAMES {
        return Err("the animation has too many frames");
    }
    let size = |it: u32| i32::try_from(it).map_err(|_| DAMAGED);
    let (width, height) = (size(width)?, size(height)?);
    Ok(Picture { content: kept.content.into(), width, height, moves: kept.frames > 1 })
}

/// Reads a container from its beginning.
struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(left: &'a [u8]) -> Self {
        Self { left }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(DAMAGED)?;
        self.left = left;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| DAMAGED)
    }
}

#[cfg(test)]
mod tests;
