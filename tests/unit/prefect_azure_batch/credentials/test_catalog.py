"""How both blocks show themselves: by Prefect's own standards for blocks."""

import json
from pathlib import Path

import prefect
import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite

from prefect_azure_batch.credentials.batch import AzureBatchCredentials
from prefect_azure_batch.credentials.storage import AzureStorageCredentials


@pytest.mark.parametrize("block", [AzureBatchCredentials, AzureStorageCredentials])
class TestStandards(BlockStandardTestSuite):
    """Prefect's own standards for blocks."""

    @pytest.fixture
    def block(self, block: type[Block]) -> type[Block]:
        """The block class under test."""
        return block

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """The logo is that of Prefect's own Azure blocks; no picture is fetched to see it."""
        catalog = Path(prefect.__file__).parent / "server/collection_blocks_data.json"
        types = json.loads(catalog.read_text())["collections"]["prefect-azure"]["block_types"]

        assert block._logo_url == types["azure-blob-storage-credentials"]["logo_url"]
