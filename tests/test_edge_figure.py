"""The figure and the section of a report on what samples say of edges."""

from dataclasses import replace

import numpy as np
import pytest

from jaxllc import plotting
from jaxllc.data.network import Network
from jaxllc.errors import InputError
from jaxllc.law.report.edges import edges_html
from jaxllc.nodewise.edges.edge_table import EdgeTable

NAMES = ["a", "b<c", "d", "e"]


def table_of():
    """a -> b<c kept, d -> b<c added, e -> d removed; e does not follow."""
    given = np.zeros((4, 4))
    given[1, 0] = given[2, 3] = 1.0
    probability = np.full((4, 4), 0.001)
    probability[1, 0], probability[1, 2], probability[2, 3] = 0.999, 0.97, 0.02
    probability[3, 0] = 0.4
    present = probability > 0.5
    follows = np.array([np.nan, 0.9, 0.99, 0.1])
    network = Network.from_adjacency(given, NAMES)
    return EdgeTable(network, probability, present, np.full((4, 4), 1.5), follows)


def test_the_section_lists_what_changed_and_what_is_in_doubt():
    html = edges_html(table_of())
    assert "1 kept, 1 added, 1 removed" in html
    assert "1 of 3 nodes do not follow" in html
    assert "b&lt;c" in html
    assert "b<c" not in html
    rows = html.count("<tr>") - 1
    assert rows == 3  # added, removed, and a -> e in doubt
    assert "0.400" in html


def test_the_figure_shows_each_pair_where_it_stands(found_law):
    law = replace(found_law, edges=table_of())
    figure = plotting.plot_edges(law)
    pairs, counts = figure.axes
    shown = {c.get_label().split(":")[0]: c.get_offsets().tolist() for c in pairs.collections}
    assert shown == {"kept": [[0.0, 1.0]], "added": [[2.0, 1.0]], "removed": [[3.0, 2.0]]}
    heights = [[p.get_height() for p in group] for group in counts.containers]
    assert [sum(h) for h in heights] == [2, 10]
    figure.canvas.draw()


def test_a_law_without_edges_has_no_such_figure(found_law):
    with pytest.raises(InputError, match="no probabilities of edges"):
        plotting.plot_edges(replace(found_law, edges=None))
