use std::io::Cursor;

use bytes::Bytes;
use image::{DynamicImage, ImageFormat, codecs::jpeg::JpegEncoder};
use jobs::Job;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use storage::Key;

use crate::{
    Asset, Assets,
    fit::{Fitted, JPEG_QUALITY, fit},
};

/// The longer side of a thumbnail, in pixels.
const SIDE: u32 = 512;

/// Makes the thumbnail of an image.
#[derive(Serialize, Deserialize)]
pub(crate) struct MakeThumbnail {
    pub(crate) org: Id<Org>,
    pub(crate) asset: Id<Asset>,
}

impl Job for MakeThumbnail {
    const NAME: &'static str = "assets.make_thumbnail";
    const SLOW: bool = true;
    type Context = Assets;

    async fn run(self, assets: Assets) -> anyhow::Result<()> {
        let Self { org, asset } = self;
        let Some(found) = Asset::find(assets.db.pool(), org, asset).await? else { return Ok(()) };
        let _turn = assets.pictures.acquire().await?;
        let content = assets.storage.get(&Asset::key(org, asset)).await?;
        let most = assets.config.asset_image_pixels;
        let made = tokio::task::spawn_blocking(move || shrink(&found.content_type, &content, most));
        let (content_type, content) = match made.await? {
            Ok(made) => made,
            Err(error) => {
                // It will not get better. The image is served as it is.
                tracing::warn!(%asset, %error, "an image has no thumbnail");
                return Ok(());
            }
        };
        assets.storage.put(&key(org, asset), content).await?;
        if !Asset::note_thumbnail(assets.db.pool(), org, asset, content_type).await? {
            assets.storage.delete(&key(org, asset)).await?;
        }
        Ok(())
    }
}

/// Where a thumbnail is.
pub(crate) fn key(org: Id<Org>, id: Id<Asset>) -> Key {
    Key::new(org, "thumbnails", id)
}

/// A smaller one: JPEG of JPEG, else lossless `WebP`, which may be transparent.
fn shrink(
    content_type: &str,
    content: &[u8],
    most_pixels: u64,
) -> image::ImageResult<(&'static str, Bytes)> {
    let Fitted { image, format, .. } = fit(content_type, content, most_pixels, SIDE)?;
    let mut made = Vec::new();
    if format == ImageFormat::Jpeg {
        image
            .to_rgb8()
            .write_with_encoder(JpegEncoder::new_with_quality(&mut made, JPEG_QUALITY))?;
        return Ok(("image/jpeg", made.into()));
    }
    let image = DynamicImage::ImageRgba8(image.to_rgba8());
    image.write_to(&mut Cursor::new(&mut made), ImageFormat::WebP)?;
    Ok(("image/webp", made.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, RgbImage};

    use super::shrink;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut content = Vec::new();
        let image = DynamicImage::ImageRgb8(RgbImage::new(width, height));
        image.write_to(&mut Cursor::new(&mut content), format).unwrap();
        content
    }

    #[test]
    fn a_thumbnail_fits_and_is_never_larger_than_the_image() {
        for (from, to, content_type, size) in [
            ("image/jpeg", ImageFormat::Jpeg, "image/jpeg", (1024, 256)),
            ("image/png", ImageFormat::Png, "image/webp", (1024, 256)),
            ("image/gif", ImageFormat::Gif, "image/webp", (30, 40)),
            ("image/webp", ImageFormat::WebP, "image/webp", (256, 1024)),
        ] {
            let content = encoded(size.0, size.1, to);
            let (made, thumbnail) = shrink(from, &content, 1_000_000).unwrap();
            let thumbnail = image::load_from_memory(&thumbnail).unwrap();
            let by = size.0.max(size.1).div_ceil(512);
            assert_eq!(
                (made, thumbnail.width(), thumbnail.height()),
                (content_type, size.0 / by, size.1 / by)
            );
        }
    }

    #[test]
    fn what_would_take_too_much_memory_is_not_decoded() {
        assert!(shrink("image/png", &encoded(1000, 1000, ImageFormat::Png), 10_000).is_err());
        assert!(shrink("image/png", b"nothing", 10_000).is_err());
    }
}
