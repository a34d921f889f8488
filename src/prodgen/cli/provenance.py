"""What a drawn picture's file says of where it comes from, so that nobody takes it for a photo."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from xml.sax.saxutils import escape

from prodgen import __version__

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from prodgen.data import Condition

Asked = Sequence[tuple[str, str]]  # a factor's name, and its value as it was typed
PROGRAM = f"prodgen {__version__}"
GENERATED = f"Generated, not photographed: {PROGRAM}"
# The mark is a term of the International Press Telecommunications Council, meant for programs to read.
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="{program}"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{sentence}</rdf:li></rdf:Alt></dc:description>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


class Provenance:
    """Where the pictures of one command come from.

    A model is named by its run's folder or its file, without the path to it, and by its file's SHA-256.
    """

    def __init__(self, file: Path, seed: int, condition: "Condition | None" = None, asked: Asked = ()):
        from prodgen.data.folder.layout import readable
        from prodgen.recorded import file_hash

        file = file.absolute()
        self.name = readable(file.parent.name if file.name == "model.safetensors" else file.stem)
        self.start = f"{GENERATED}, model {self.name} (SHA-256 {file_hash(file)})"
        self.seed, self.condition, self.asked = seed, condition, dict(asked)

    def sentence(self, which: str, vector: "Tensor | None" = None) -> str:
        """What is to be known of `which`, such as "picture 3 of 8", drawn for what a vector (width,) asks."""
        asked = [f"{name}={value}" for name, value in self._values(vector).items()]
        return f"{self.start}, seed {self.seed}, {', '.join([which, *asked])}."

    def label(self, vector: "Tensor | None") -> str | None:
        """The class that a vector asks for, if it does."""
        from prodgen.data import LABEL

        return self._values(vector).get(LABEL)

    def _values(self, vector: "Tensor | None") -> dict[str, str]:
        """What a vector asks for: by name, or as it was typed."""
        found: dict[str, str] = {}
        for factor in self.condition.factors if vector is not None else ():
            part = vector[self.condition.places[factor.name]]
            if factor.values and part.any():
                found[factor.name] = factor.values[part.argmax()]
            elif factor.name in self.asked:
                found[factor.name] = self.asked[factor.name]
        return found


def xmp(sentence: str) -> bytes:
    """The sentence as XMP, beside the term that marks generated pictures."""
    return XMP.format(program=PROGRAM, sentence=escape(sentence)).encode()


def save_png(file: BinaryIO, pixels: "np.ndarray", sentence: str) -> None:
    """Write bytes (H, W[, 3]) as a PNG file with the sentence in it, as text and as XMP; "" for a photo."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if sentence:
        info.add_text("Software", PROGRAM)
        info.add_text("Description", sentence)  # as iTXt where it is not Latin-1
        info.add_itxt("XML:com.adobe.xmp", xmp(sentence).decode())
    Image.fromarray(pixels).save(file, "PNG", pnginfo=info)
