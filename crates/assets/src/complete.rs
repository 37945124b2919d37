//! How the parts of an upload become a file.

use std::panic;

use futures::TryStreamExt;
use kernel::{Id, Org};
use sha2::{Digest, Sha256};
use storage::{Key, Writer};
use tracing::Instrument;
use web::Caller;

use crate::{
    Asset, Assets, Error, Result, Status, Upload, content_type,
    erase::ClearUpload,
    fit,
    intake::{Intake, Written},
    pictures,
    thumbnail::MakeThumbnail,
    webhook_events::AssetCreated,
};

impl Assets {
    /// Makes a file of an upload, to the end even if whoever asked leaves. Asked again it answers the same file;
    /// of several who ask at the same time one makes it. A process that dies leaves an object that nobody sees.
    pub(crate) async fn complete(&self, caller: Caller, id: Id<Upload>) -> Result<Asset> {
        let assets = self.clone();
        let making = async move { assets.make(&caller, id).await };
        let made = tokio::spawn(making.in_current_span()).await;
        made.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
    }

    async fn make(&self, caller: &Caller, id: Id<Upload>) -> Result<Asset> {
        let org = caller.org;
        let _turn = self.turns.wait(id).await;
        let (upload, made) = self.upload(org, id).await?;
        if let Some(made) = made {
            return Ok(made);
        }
        upload.check_open(self.clock.now())?;
        let _transfer = self.transfers.try_acquire().map_err(|_| Error::Busy)?;
        match self.assemble(caller, &upload).await {
            Ok(asset) => Ok(asset),
            // Another process may have been faster, and has removed the parts.
            Err(error) => self.upload(org, id).await?.1.ok_or(error),
        }
    }

    /// An upload, and what has become of it.
    async fn upload(&self, org: Id<Org>, id: Id<Upload>) -> Result<(Upload, Option<Asset>)> {
        let mut tx = self.db.tenant(org).await?;
        let upload = Upload::get(&mut *tx, id).await?;
        let asset = match upload.asset_id {
            Some(asset) => Some(Asset::get(&mut *tx, asset).await?),
            None => None,
        };
        Ok((upload, asset))
    }

    async fn assemble(&self, caller: &Caller, upload: &Upload) -> Result<Asset> {
        let (org, id) = (caller.org, upload.id);
        self.check_whole(org, upload).await?;
        // Whatever another process writes is an object of its own.
        let asset = Id::<Asset>::new();
        let written = match self.write(org, upload, &Asset::key(org, asset)).await {
            Ok(written) => written,
            Err(error @ Error::Content(_)) => {
                self.end(org, id, Status::Refused).await?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        self.establish(caller, upload, asset, written).await
    }

    async fn check_whole(&self, org: Id<Org>, upload: &Upload) -> Result<()> {
        let came: Vec<_> = self.parts(org, upload).await?.iter().map(|part| part.number).collect();
        let missing = (1..=upload.parts()).filter(|number| came.binary_search(number).is_err());
        let missing: Vec<_> = missing.take(100).collect();
        if missing.is_empty() { Ok(()) } else { Err(Error::Incomplete(missing)) }
    }

    /// Writes the parts as one object, if they are what was announced.
    async fn write(&self, org: Id<Org>, upload: &Upload, key: &Key) -> Result<Written> {
        let labels = Asset::labels(&upload.name, &upload.content_type);
        let mut writer = self.storage.labelled_writer(key, &labels);
        match self.copy(org, upload, &mut writer).await {
            Ok(written) => writer.finish().await.map(|()| written).map_err(Error::from),
            Err(error) => {
                // Whether or not that works, nobody sees what was written.
                writer.abandon().await.ok();
                Err(error)
            }
        }
    }

    async fn copy(&self, org: Id<Org>, upload: &Upload, writer: &mut Writer) -> Result<Written> {
        if content_type::is_image(&upload.content_type) {
            return self.copy_picture(org, upload, writer).await;
        }
        let parts = Upload::key(org, upload.id);
        let mut intake = Intake::new(upload);
        for number in 1..=upload.parts() {
            let mut part = self.storage.reader(&parts.part(number)).await?;
            while let Some(chunk) = part.try_next().await? {
                intake.look_at(&chunk)?;
                writer.write(chunk).await?;
            }
        }
        intake.end()
    }

    /// Writes what of a picture is needed to see it.
    async fn copy_picture(
        &self,
        org: Id<Org>,
        upload: &Upload,
        writer: &mut Writer,
    ) -> Result<Written> {
        let _turn = self.pictures.acquire().await;
        let parts = Upload::key(org, upload.id);
        let (mut intake, mut content) = (Intake::new(upload), Vec::new());
        for number in 1..=upload.parts() {
            let mut part = self.storage.reader(&parts.part(number)).await?;
            while let Some(chunk) = part.try_next().await? {
                intake.look_at(&chunk)?;
                content.extend_from_slice(&chunk);
            }
        }
        intake.end()?;
        let (content_type, most) = (upload.content_type.clone(), self.config.asset_image_pixels);
        let side = self.config.asset_image_side;
        let clean = move || {
            let picture = pictures::clean(&content_type, &content, most)?;
            Ok(match side {
                Some(side) => fit::smaller(picture, &content_type, most, side),
                None => picture,
            })
        };
        let cleaned = tokio::task::spawn_blocking(clean).await;
        let picture = cleaned.unwrap_or(Err("the image cannot be read")).map_err(Error::Content)?;
        let sha256 = Sha256::digest(&picture.content).to_vec();
        let bytes = i64::try_from(picture.content.len()).unwrap_or(i64::MAX);
        writer.write(picture.content).await?;
        Ok(Written { bytes, sha256, size: Some((picture.width, picture.height)) })
    }

    /// Makes the object a file of the org, unless the upload has ended meanwhile.
    async fn establish(
        &self,
        caller: &Caller,
        upload: &Upload,
        id: Id<Asset>,
        written: Written,
    ) -> Result<Asset> {
        let (org, now) = (caller.org, self.clock.now());
        let asset = Asset {
            id,
            name: upload.name.clone(),
            content_type: upload.content_type.clone(),
            bytes: written.bytes,
            sha256: written.sha256,
            width: written.size.map(|it| it.0),
            height: written.size.map(|it| it.1),
            thumbnail_type: None,
            created_at: now,
        };
        let mut tx = self.db.begin().await?;
        let becomes = Some((id, asset.bytes));
        if !Upload::end(&mut tx, (org, upload.id), Status::Completed, becomes, now).await? {
            drop(tx);
            // Somebody was faster. An object that stays because this fails is found by the sweep.
            self.storage.delete(&Asset::key(org, id)).await.ok();
            return self.upload(org, upload.id).await?.1.ok_or(Error::UploadEnded);
        }
        asset.insert(&mut tx, org, caller.user).await?;
        let event = AssetCreated {
            asset_id: id,
            name: asset.name.clone(),
            content_type: asset.content_type.clone(),
            bytes: asset.bytes,
        };
        webhooks::emit(&mut tx, org, &event, now).await?;
        ClearUpload { org, upload: upload.id }.queue(&mut tx).await?;
        if asset.width.is_some() {
            jobs::enqueue(&mut tx, &MakeThumbnail { org, asset: id }).await?;
        }
        tx.commit().await?;
        Ok(asset)
    }

    /// Ends an upload that becomes no file; `false`: it has ended before.
    pub(crate) async fn end(&self, org: Id<Org>, id: Id<Upload>, status: Status) -> Result<bool> {
        let (mut tx, now) = (self.db.begin().await?, self.clock.now());
        let ended = Upload::end(&mut tx, (org, id), status, None, now).await?;
        if ended {
            ClearUpload { org, upload: id }.queue(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(ended)
    }
}
