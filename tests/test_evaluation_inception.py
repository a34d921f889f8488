"""Inception's weights: found, fetched, checked or refused in a sentence; and what the network sees."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from prodgen import evaluation
from prodgen.evaluation import features

NAME = "weights-inception-2015-12-05-6726825d.pth"
SHA256 = features.INCEPTION_SHA256
PUBLISHED = b"weights" * 1000  # in the place of the published ones


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """PyTorch Hub's folder of weights, empty; nothing goes through a proxy."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(features, "INCEPTION_SHA256", hashlib.sha256(PUBLISHED).hexdigest())
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server(monkeypatch):
    """A server of the weights; what it answers with, and how often it was asked."""

    class Handler(BaseHTTPRequestHandler):
        answer, asked = PUBLISHED, 0

        def do_GET(self):
            Handler.asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(PUBLISHED)))
            self.end_headers()
            self.wfile.write(Handler.answer)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        monkeypatch.setattr(
            features, "URL_INCEPTION_V3", f"http://127.0.0.1:{listening.server_port}/v0.2.0/{NAME}"
        )
        yield Handler
        listening.shutdown()
        thread.join()


def refused():
    with pytest.raises(evaluation.EvaluationError) as error:
        evaluation.inception_features(torch.zeros(2, 1, 28, 28))
    return str(error.value)


def test_weights_are_fetched_once_and_kept_in_the_hubs_cache(hub, server):
    path = features.inception_weights()
    assert path == hub / NAME and path.read_bytes() == PUBLISHED
    assert features.inception_weights() == path and server.asked == 1
    assert socket.getdefaulttimeout() is None, "nobody else's connections are touched"


def test_a_half_download_is_told_and_leaves_nothing(hub, server):
    server.answer = PUBLISHED[:3000]
    assert "could not be fetched" in refused()
    assert list(hub.iterdir()) == []


def test_weights_that_were_half_copied_are_not_used(hub):
    hub.mkdir(parents=True)
    (hub / NAME).write_bytes(PUBLISHED[:-1])
    said = refused()
    assert str(hub / NAME) in said and "delete it" in said


def test_a_proxy_that_never_answers_is_given_up(hub, monkeypatch):
    monkeypatch.setattr(features, "NETWORK_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(
            features, "URL_INCEPTION_V3", f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}"
        )
        assert "timed out" in refused()


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    said = refused()
    assert "Not a directory" in said and "TORCH_HOME" in said


def test_a_refused_connection_says_how_to_get_the_weights(hub, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setattr(features, "URL_INCEPTION_V3", f"http://127.0.0.1:{port}/{NAME}")
    said = refused()
    assert "Connection refused" in said and NAME in said and str(hub) in said


def test_inception_sees_grey_images_as_three_equal_channels_of_bytes(hub, monkeypatch):
    with monkeypatch.context() as patch:  # the architecture without its weights
        patch.setattr(
            "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *a, **k: {}
        )
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = FeatureExtractorInceptionV3("random", ["2048"]).eval()
    hub.mkdir(parents=True)
    torch.save(network.state_dict(), hub / NAME)
    digest = hashlib.sha256((hub / NAME).read_bytes()).hexdigest()
    monkeypatch.setattr(features, "INCEPTION_SHA256", digest)

    grey = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = evaluation.inception_features(grey)
    assert found.shape == (3, 2048) and found.dtype == torch.float32
    pixels = ((grey + 1) * 127.5).round().byte().repeat(1, 3, 1, 1)
    torch.testing.assert_close(found, network(pixels)[0], rtol=1e-3, atol=1e-5)


def test_the_hash_is_that_of_the_file_which_the_library_asks_for():
    # PyTorch Hub's convention: a file's name ends with the first eight digits of its hash.
    assert features.URL_INCEPTION_V3.endswith(f"-{SHA256[:8]}.pth"), "another file needs another hash"
