"""How both blocks show themselves in Prefect's catalog of block types."""

# Prefect's own Azure blocks have the same picture, so its user interface knows it already.
LOGO_URL = (
    "https://raw.githubusercontent.com/PrefectHQ/prefect/"
    "420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/microsoft-azure.png"
)
