"""How both blocks show themselves in Prefect's catalog of block types."""

# Prefect's own Azure blocks have the same picture, so its user interface knows it already.
LOGO_URL = (
    "https://cdn.sanity.io/images/3ugk85nk/production/"
    "54e3fa7e00197a4fbd1d82ed62494cb58d08c96a-250x250.png"
)
