//! Pictures made smaller: thumbnails, and what is kept if a longest side is set.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, ImageResult, Limits,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
    imageops::FilterType,
};

use crate::pictures::Picture;

/// Of 100.
pub(crate) const JPEG_QUALITY: u8 = 82;

/// A picture that was decoded.
pub(crate) struct Fitted {
    pub(crate) image: DynamicImage,
    pub(crate) format: ImageFormat,
    /// What its colours mean.
    profile: Option<Vec<u8>>,
}

/// The picture in `content` the right way up, no side longer than `side`; of an animation the first frame.
pub(crate) fn fit(
    content_type: &str,
    content: &[u8],
    most_pixels: u64,
    side: u32,
) -> ImageResult<Fitted> {
    let format = ImageFormat::from_mime_type(content_type).unwrap_or(ImageFormat::Png);
    let mut limits = Limits::default();
    // Four bytes a pixel twice, for what decoders need beside the result.
    limits.max_alloc = Some(most_pixels.saturating_mul(8));
    let mut reader = ImageReader::with_format(Cursor::new(content), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    let (orientation, profile) = (decoder.orientation()?, decoder.icc_profile()?);
    let image = DynamicImage::from_decoder(decoder)?;
    let fits = image.width() <= side && image.height() <= side;
    let mut image = if fits { image } else { image.resize(side, side, FilterType::Triangle) };
    image.apply_orientation(orientation);
    Ok(Fitted { image, format, profile })
}

/// The picture with no side longer than `side`, if it is a JPEG or a PNG that does not move; others are kept
/// as they are, and so is one that cannot be decoded or would not become smaller.
pub(crate) fn smaller(
    picture: Picture,
    content_type: &str,
    most_pixels: u64,
    side: u32,
) -> Picture {
    let longest = picture.width.max(picture.height);
    let fits = i64::from(longest) <= i64::from(side);
    if fits || picture.moves || !matches!(content_type, "image/jpeg" | "image/png") {
        return picture;
    }
    match fit(content_type, &picture.content, most_pixels, side).and_then(Fitted::encode) {
        Ok(made) if made.content.len() < picture.content.len() => made,
        Ok(_) => picture,
        Err(error) => {
            tracing::warn!(%error, "a picture is kept as it came: it cannot be decoded");
            picture
        }
    }
}

impl Fitted {
    /// In the format that it had.
    fn encode(self) -> ImageResult<Picture> {
        let Self { image, format, profile } = self;
        let mut content = Vec::new();
        // A profile that an encoder does not take is left out.
        if format == ImageFormat::Jpeg {
            let mut encoder = JpegEncoder::new_with_quality(&mut content, JPEG_QUALITY);
            // One for greys or inks would say something else of what is written in red, green and blue.
            let profile = profile.filter(|it| it.get(16..20) == Some(b"RGB "));
            profile.and_then(|it| encoder.set_icc_profile(it).ok());
            image.to_rgb8().write_with_encoder(encoder)?;
        } else {
            let mut encoder = PngEncoder::new(&mut content);
            profile.and_then(|it| encoder.set_icc_profile(it).ok());
            image.write_with_encoder(encoder)?;
        }
        let size = |it: u32| i32::try_from(it).unwrap_or(i32::MAX);
        let (width, height) = (size(image.width()), size(image.height()));
        Ok(Picture { content: content.into(), width, height, moves: false })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, RgbImage};

    use super::smaller;
    use crate::pictures::Picture;

    /// Noise, which no encoder makes small.
    fn noise(width: u32, height: u32, format: ImageFormat) -> Picture {
        let mut seed = 1_u32;
        let pixels = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        });
        let bytes = usize::try_from(width * height * 3).unwrap();
        let image = RgbImage::from_raw(width, height, pixels.take(bytes).collect()).unwrap();
        let mut content = Vec::new();
        DynamicImage::ImageRgb8(image).write_to(&mut Cursor::new(&mut content), format).unwrap();
        let size = |it| i32::try_from(it).unwrap();
        Picture { content: content.into(), width: size(width), height: size(height), moves: false }
    }

    #[test]
    fn a_large_photo_becomes_smaller_in_its_own_format() {
        for (content_type, format) in
            [("image/jpeg", ImageFormat::Jpeg), ("image/png", ImageFormat::Png)]
        {
            let large = noise(300, 150, format);
            let before = large.content.len();
            let made = smaller(large, content_type, 1_000_000, 100);
            assert!(made.content.len() < before / 4, "{content_type}");
            assert_eq!((made.width, made.height), (100, 50));
            assert_eq!(image::guess_format(&made.content).unwrap(), format);
            let image = image::load_from_memory(&made.content).unwrap();
            assert_eq!((image.width(), image.height()), (100, 50));
        }
    }

    #[test]
    fn what_fits_moves_or_cannot_be_decoded_is_kept_as_it_came() {
        let unchanged = |picture: Picture, content_type: &str| {
            let before = picture.content.clone();
            let after = smaller(picture, content_type, 1_000_000, 100);
            assert_eq!(after.content, before, "{content_type}");
        };
        unchanged(noise(100, 100, ImageFormat::Jpeg), "image/jpeg");
        unchanged(noise(300, 10, ImageFormat::WebP), "image/webp");
        unchanged(Picture { moves: true, ..noise(300, 10, ImageFormat::Png) }, "image/png");
        unchanged(noise(300, 10, ImageFormat::Png), "image/jpeg");
    }
}
