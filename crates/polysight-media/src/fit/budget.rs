//! As many pixels as a budget of tokens or money pays for.

use polysight_core::catalog::{ImageCard, Price};
use polysight_core::{ChatRequest, Image, ModelCard, Tolerance, VisionProvider};

use super::layer::planned;
use super::{FitPlan, FitSettings};

/// The budget of one picture, by the settings and the model's prices.
pub(super) struct Budget<'a> {
    pub(super) provider: &'a dyn VisionProvider,
    pub(super) card: &'a ModelCard,
    pub(super) limits: &'a ImageCard,
    pub(super) settings: &'a FitSettings,
}

impl Budget<'_> {
    /// The settings for a picture, and what of the budget cannot be applied.
    pub(super) fn applied_to(&self, image: &Image) -> (FitSettings, Option<String>) {
        let price = token_price(self.card);
        let note = (self.settings.max_image_cost.is_some() && price.is_none())
            .then(|| format!("max_image_cost is not applied: the price of {} is not known", self.card.id));
        let mut settings = self.settings.clone();
        let (Some(most), Some(info)) = (self.most_tokens(price), image.info()) else {
            return (settings, note);
        };
        let Some(all) = self.tokens(image, info.pixels()) else {
            let note = format!(
                "the budget of a picture is not applied: how {} counts tokens of pictures is not known",
                self.card.id
            );
            return (settings, Some(note));
        };
        if all > most {
            let enough = self.affordable(image, info.pixels(), most);
            settings.max_pixels = Some(enough.min(settings.max_pixels.unwrap_or(u64::MAX)));
        }
        (settings, note)
    }

    fn most_tokens(&self, price: Option<f64>) -> Option<u64> {
        let paid = self.settings.max_image_cost.zip(price).map(|(cost, price)| (cost * 1e6 / price) as u64);
        self.settings.max_image_tokens.into_iter().chain(paid).min()
    }

    /// The most pixels that take no more tokens than this; `all` take more.
    fn affordable(&self, image: &Image, all: u64, most: u64) -> u64 {
        let (mut enough, mut too_many) = (1, all);
        while too_many - enough > 1 {
            let middle = enough + (too_many - enough) / 2;
            if self.tokens(image, middle).is_some_and(|tokens| tokens <= most) {
                enough = middle;
            } else {
                too_many = middle;
            }
        }
        enough
    }

    /// What the picture takes with so many pixels: asked of the provider, by a plan of that picture alone.
    fn tokens(&self, image: &Image, pixels: u64) -> Option<u64> {
        let pixels = pixels.min(self.settings.max_pixels.unwrap_or(u64::MAX));
        let limited = self.settings.clone().with_max_pixels(pixels);
        let plan = FitPlan::new(image, self.limits, &limited).ok()?;
        let sized = plan.and_then(|plan| planned(image, plan, &limited).ok());
        let sized = sized.unwrap_or_else(|| image.clone());
        let probe = ChatRequest::ask("?", [sized]).with_model(&self.card.id).with_tolerance(Tolerance::Lossy);
        self.provider.plan(&probe).ok()?.estimate.image_tokens.number()
    }
}

/// The price of a million tokens of a prompt, where there is one.
fn token_price(card: &ModelCard) -> Option<f64> {
    Price::tier(&card.prices, 0).map(|price| price.input).filter(|price| *price > 0.0)
}
