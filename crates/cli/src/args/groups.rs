//! What can be typed after `kohort groups`.

use clap::Subcommand;

use super::ClusterArgs;

/// `kohort groups …`.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupsCommand {
    /// Print all groups with their state, one a line
    List {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Print who owns which partition of a group and how far behind each is
    Describe {
        /// Where the cluster is
        #[command(flatten)]
        cluster: ClusterArgs,
        /// The group
        group: String,
    },
}
