"""What a release is made of: one version, packages that install and run, an SBOM."""
