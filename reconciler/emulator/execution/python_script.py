"""The script of a code service, run as Studio's module Execute Python Script does, in a process of its own.

Started as a file by whatever command the studio file names for the language, so it knows nothing of this package and is
written for Python 2.7 as well as 3. It reads one JSON object from its standard input and writes one to its standard
output: ``values``, the columns that the script has given, or ``error``, what it has raised.
"""

import base64
import json
import os
import resource
import sys
import traceback
import types
import zipfile
from collections import OrderedDict
from io import BytesIO

_DTYPES = {"Integer": "int64", "Number": "float64", "Boolean": "bool", "String": "object"}
# Where the module has the files of its script bundle; scripts are also found by it when they import.
_BUNDLE = "Script Bundle"
_SCRIPT = "script.py"


def main():
    """Answer one request."""
    # Whatever the script prints must not end up in the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.read())
    resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
    # Also when nobody is left to end it.
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"]))
    answer.write(json.dumps(_answer(request)).encode("ascii"))
    answer.close()


def _answer(request):
    try:
        return {"values": _run(request)}
    except MemoryError:
        return {"error": "MemoryError", "memory": True}
    except (Exception, SystemExit):  # noqa: BLE001 - whatever the script raises is the answer
        kind, error, trace = sys.exc_info()
        # Without the lines of this file at its beginning.
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        return {"error": "".join(traceback.format_exception(kind, error, trace))}


def _run(request):
    import pandas as pd

    if request["files"]:
        with zipfile.ZipFile(BytesIO(base64.b64decode(request["files"]))) as archive:
            archive.extractall(_BUNDLE)
    sys.path[:0] = [os.path.abspath(_BUNDLE)]
    columns = OrderedDict(
        (column["name"], _series(pd, column["type"], [row[position] for row in request["rows"]]))
        for position, column in enumerate(request["columns"])
    )
    frame = pd.DataFrame(columns, index=range(len(request["rows"])), columns=list(columns))
    given = _main_of(request["source"])(frame)
    if isinstance(given, (tuple, list)) and len(given) > 0:
        given = given[0]
    if not isinstance(given, pd.DataFrame):
        raise TypeError("azureml_main has given no pandas.DataFrame but %s" % type(given).__name__)
    return [[_plain(pd, value) for value in column.tolist()] for column in _chosen(given, request["outputs"])]


def _main_of(source):
    """Return the script's entry point. It is a file, so that a traceback can show its lines."""
    path = os.path.abspath(_SCRIPT)
    with open(path, "wb") as script:
        script.write(source.encode("utf-8"))
    module = types.ModuleType("script")
    module.__file__ = path
    # Python 2 empties a module that nobody holds, and the script's functions would find nothing in it.
    sys.modules[module.__name__] = module
    with open(path, "rb") as script:
        exec(compile(script.read(), path, "exec"), module.__dict__)
    main = getattr(module, "azureml_main", None)
    if main is None:
        raise NameError("the script defines no azureml_main")
    return main


def _series(pd, column_type, values):
    dtype = _DTYPES[column_type]
    if None in values and dtype != "object":
        # Neither integers nor booleans have a value that stands for a missing one.
        dtype = "object" if dtype == "bool" else "float64"
    return pd.Series(values, dtype=dtype)


def _chosen(frame, names):
    """Return the frame's columns by the names of the schema, or in their order if they have other names."""
    if all(name in frame.columns for name in names):
        return [frame[name] for name in names]
    if frame.shape[1] != len(names):
        raise ValueError("azureml_main has given %d columns; the OutputSchema has %d" % (frame.shape[1], len(names)))
    return [frame.iloc[:, position] for position in range(len(names))]


def _plain(pd, value):
    """Return a value that JSON has."""
    if pd.api.types.is_scalar(value) and pd.isnull(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (bool, int, float, str)) or type(value).__name__ in {"unicode", "long"}:
        return value
    return str(value)


if __name__ == "__main__":
    main()
