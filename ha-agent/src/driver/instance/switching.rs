//! An instance's datapath, while a command has set another than the configured one.

use super::Instance;
use crate::config::model::DatapathChoice;
use crate::driver::hooks::{Need, Reception};
use crate::driver::switch::{SwitchError, Switched, Told};

impl Instance {
    /// How its adverts are to be received.
    pub(crate) fn choice(&self) -> DatapathChoice {
        self.switch
            .as_ref()
            .map_or(self.config().datapath, |switch| switch.choice)
    }

    /// What it needs on its interface.
    pub(crate) fn need(&self) -> Need<'_> {
        let earlier = self.switch.as_ref().and_then(|switch| switch.earlier);
        let fallback = match &self.switch {
            Some(_) => earlier.unwrap_or(self.config().datapath),
            None => self.choice(),
        };
        Need {
            interface: &self.config().interface,
            choice: self.choice(),
            fallback,
        }
    }

    /// The datapath by command, if there is one.
    pub(crate) fn switched(&self) -> Option<DatapathChoice> {
        let choice = self.switch.as_ref()?.choice;
        (choice != self.config().datapath).then_some(choice)
    }

    /// Its reception, with who wanted it so.
    pub(crate) fn explained(&self, mut reception: Reception) -> Reception {
        if self.switched().is_some() {
            let configured = self.config().datapath.name();
            reception.because = match self.choice() {
                DatapathChoice::Only(_) => format!("by command (configured: {configured})"),
                DatapathChoice::Auto => format!(
                    "{}; auto by command (configured: {configured})",
                    reception.because
                ),
            };
        }
        reception
    }

    /// Whether it is not known yet what comes of a command.
    pub(crate) fn is_switching(&self) -> bool {
        self.switch.as_ref().is_some_and(|it| it.answer.is_some())
    }

    pub(crate) fn settle_switch(&mut self, switched: Switched) -> Option<Told> {
        self.dirty();
        let configured = self.config().datapath;
        let switch = self.switch.as_mut()?;
        switch.earlier = None;
        let waiting = switch.answer.take();
        if switch.choice == configured {
            self.switch = None;
        }
        Some((waiting?, Ok(switched)))
    }

    /// What a command wanted cannot be had; false if no command wanted it.
    pub(crate) fn refuse_switch(&mut self, why: &str) -> bool {
        let Some(switch) = &mut self.switch else {
            return false;
        };
        switch.refused = Some(why.to_owned());
        true
    }

    /// Another `datapath` is configured: that counts from now on.
    pub(crate) fn end_switch(&mut self) {
        self.dirty();
        if let Some(mut switch) = self.switch.take() {
            switch.tell(Err(SwitchError::Overtaken));
        }
    }
}
