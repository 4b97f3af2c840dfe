"""What the tutorial runs on the nodes: counts words in its way, writes them, uploads them.

The upload is the standard library's instead of azure-storage's, which the tutorial's start task
installs by pip: that flatters the tutorial, by the installation and by 0.3 s of import a task.
"""

import argparse
import collections
import os
import string
import urllib.request
from pathlib import Path


def main() -> None:
    """Write the most frequent words of a file beside it, and upload that."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--filepath", required=True)
    parser.add_argument("--numwords", type=int, required=True)
    parser.add_argument("--storageurl", required=True)
    parser.add_argument("--storagecontainer", required=True)
    parser.add_argument("--sastoken", required=True)
    args = parser.parse_args()

    source = Path(args.filepath).resolve()
    words = [word.strip(string.punctuation) for word in source.read_text("utf-8").split()]
    output = source.with_name(f"{source.stem}_OUTPUT{source.suffix}")
    with output.open("w", encoding="utf-8") as file:
        file.write("-" * 30 + "\nWord\t\t\tCount\n" + "-" * 30 + "\n")
        for word, count in collections.Counter(words).most_common(args.numwords):
            file.write(f"{word}\t\t\t{count}\n")
        file.write("-" * 30 + "\n")
        for what in ("NODE", "TASK", "JOB", "POOL"):
            file.write(f"{what.title()}: {os.environ[f'AZ_BATCH_{what}_ID']}\n")

    url = f"{args.storageurl}/{args.storagecontainer}/{output.name}?{args.sastoken}"
    headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "text/plain"}
    request = urllib.request.Request(url, output.read_bytes(), headers, method="PUT")  # noqa: S310 - the container's URL
    urllib.request.urlopen(request).close()  # noqa: S310


if __name__ == "__main__":
    main()
