"""The definition, run by a Spark that is there already, over log files that all of its machines can reach."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gameday.blastradius._answer import Answer, Coverage
from gameday.blastradius._dialects import SPARK, spark_hits, spark_records
from gameday.blastradius._embedded import answer_of
from gameday.blastradius._files import FolderSource, Seen, needles_of
from gameday.blastradius._pool import Found
from gameday.blastradius._question import Question
from gameday.blastradius._source import Progress, Watch
from gameday.blastradius._sql import rows_sql, uses_sql
from gameday.errors import Refused

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = "Records ARRAY<STRING>, damaged STRING"
"""What a log file is to Spark: each record stays the text that it is."""
_VIEW = "gameday_records"


class Spark:
    """Answers through a Spark master.

    Parameters
    ----------
    master: ``spark://host:7077``, ``local[2]``, ``yarn`` …
    logs: a folder that every worker sees under the same path, or what Hadoop's file systems read (``s3a://…``).
    """

    def __init__(self, master: str, logs: str) -> None:
        self._master, self._logs = master, logs

    def ask(self, question: Question, watch: Watch) -> Answer:
        """Read every file once, then count what was kept of them; raises Refused with Spark's reason."""
        try:
            from pyspark.errors import PySparkException
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise Refused(f"Spark needs pyspark ({error}): pip install 'kms-gameday[spark]'") from error
        seen = Seen(question)
        try:
            spark = _session(SparkSession.builder, self._master)
            with _cancelled_by(watch, spark):
                return self._answer(spark, question, watch, seen)
        except PySparkException as error:
            if watch.stopping.is_set():
                return answer_of(question, [], [], _interrupted(self._logs))
            raise Refused(f"Spark at {self._master}: {str(error).splitlines()[0]}") from error
        except Exception as error:  # py4j: the JVM's own errors, such as a master that does not answer
            if type(error).__module__.startswith("py4j") and watch.stopping.is_set():
                return answer_of(question, [], [], _interrupted(self._logs))
            if type(error).__module__.startswith("py4j"):
                raise Refused(f"Spark at {self._master}: {str(error).strip().splitlines()[-1]}") from error
            raise

    def _answer(self, spark: SparkSession, question: Question, watch: Watch, seen: Seen) -> Answer:
        from pyspark.sql import functions

        watch.tell(Progress(note=f"Spark at {self._master} reads {self._logs}"))
        files, documents = self._documents(spark, seen)
        # Few records hold the key's name: they are kept, so that every file is read once for all that is asked below.
        hits = spark_hits("Records", needles_of(question.key))
        size = "CASE WHEN Records IS NOT NULL THEN size(Records) END AS records"
        kept = documents.selectExpr("damaged", size, f"{hits} AS hits").persist()
        counts = kept.agg(
            functions.count(functions.lit(1)).alias("documents"),
            functions.count("damaged").alias("damaged"),
            functions.expr("count_if(damaged IS NULL AND records IS NULL)").alias("others"),
            functions.sum("records").alias("records"),
        ).first()
        kept.select(functions.explode("hits").alias("record")).createOrReplaceTempView(_VIEW)
        records = spark_records(_VIEW)
        rows = spark.sql(rows_sql(question, SPARK, records)).collect()
        uses = spark.sql(uses_sql(question, SPARK, records)).collect() if question.detail else []
        return answer_of(question, rows, uses, self._coverage(seen, files, counts.asDict() if counts else {}))

    def _documents(self, spark: SparkSession, seen: Seen) -> tuple[int, DataFrame]:
        """One row a file that the question needs, by the layout; each record stays the text that it is."""
        reader = (
            spark.read.schema(SCHEMA)
            .option("multiLine", True)
            .option("columnNameOfCorruptRecord", "damaged")
            .option("recursiveFileLookup", True)
            .option("pathGlobFilter", "*.{gz,json}")
        )
        here = Path(self._logs)
        if here.exists():
            listed = FolderSource(here).list(seen)
        else:  # only Hadoop knows how to list it
            every = reader.json(self._logs).inputFiles()
            listed = (Found(name, 0) for name in every if seen.wants_folder(_above(name)) and seen.wants_file(name))
        names = [found.name for found in seen.watch_over(listed)]
        return len(names), (reader.json(names) if names else spark.createDataFrame([], SCHEMA))

    def _coverage(self, seen: Seen, files: int, counted: dict[str, Any]) -> Coverage:
        documents, damaged, others, records = (
            int(counted.get(name) or 0) for name in ("documents", "damaged", "others", "records")
        )
        missing = {"damaged": damaged, "no log file": others, "broken gzip or empty": files - documents}
        return seen.named().but(
            sources=(f"files under {self._logs}, by Spark",),
            files=files,
            read_files=documents - damaged - others,
            records=records,
            estimated_records=records,
            skipped={why: count for why, count in missing.items() if count},
        )


def _above(name: str) -> str:
    return name.rpartition("/")[0]


def _interrupted(logs: str) -> Coverage:
    return Coverage(sources=(f"files under {logs}, by Spark",), partial="interrupted, and the job cancelled")


def _session(builder: Any, master: str) -> SparkSession:
    settings = {
        "spark.sql.files.ignoreCorruptFiles": "true",  # counted: fewer documents come than there are files
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    builder = builder.master(master).appName("gameday blast-radius")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session: SparkSession = builder.getOrCreate()
    return session


@contextmanager
def _cancelled_by(watch: Watch, spark: SparkSession) -> Iterator[None]:
    """While Spark works in its own threads, this one waits for the watch; the session ends with the answer."""
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.2):
            if watch.stopping.is_set():  # again and again: the next query's job may not have begun yet
                spark.sparkContext.cancelAllJobs()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        yield
    finally:
        over.set()
        waiting.join()
        spark.stop()
