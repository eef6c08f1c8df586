"""What a certificate says, in every language.

Nothing here may claim a state of the world ("carbon neutral" and the like): a certificate says what was retired, for
whom, and where that can be checked. A test holds it to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tonne.certificates.languages import Language


@dataclass(frozen=True, slots=True)
class Wording:
    """What differs between a live certificate and a test one."""

    title: str
    on_behalf_of: str
    statement: str
    completed_on: str
    retirements: str
    retired_on: str


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language. What is in braces is filled in."""

    live: Wording
    test: Wording
    watermark: str
    exactly: str
    order: str
    ordered_on: str
    ordered_by: str
    retirements_count: str
    check_heading: str
    check_text: str
    qr_alternative: str
    logo_alternative: str
    retirements_note: str
    project: str
    registry: str
    credits: str
    this_order: str
    vintage: str
    serial_numbers: str
    methodology: str
    reference: str
    whole_retirement: str
    total: str
    aftermath: str
    reversed: str
    invalidated: str
    replaced: str
    being_replaced: str


_ENGLISH = Texts(
    live=Wording(
        title="Certificate of retirement",
        on_behalf_of="Carbon credits retired on behalf of",
        statement=(
            "For this order, carbon credits for {mass} of CO₂ equivalent were retired on behalf of the beneficiary named "
            "above. A retired credit is out of circulation: it can no longer be sold, transferred or used. The following "
            "pages name each retirement, its serial numbers and the registry that records it."
        ),
        completed_on="Retired in full on",
        retirements="Retirements",
        retired_on="Retired on",
    ),
    test=Wording(
        title="Test document",
        on_behalf_of="Test order in the name of",
        statement=(
            "This document shows how a certificate would look. The order was placed in test mode: nothing was retired, "
            "and this document proves nothing. The projects, serial numbers and references on the following pages are "
            "test data."
        ),
        completed_on="Test completed on",
        retirements="Test data: nothing was retired",
        retired_on="Test date",
    ),
    watermark="TEST: nothing was retired",
    exactly="exactly {mass}",
    order="Order",
    ordered_on="Ordered on",
    ordered_by="Ordered by",
    retirements_count="Number of retirements",
    check_heading="Check this document",
    check_text="Scan the code or open this address. The page there shows the same facts.",
    qr_alternative="QR code of the address {url}",
    logo_alternative="Logo of {name}",
    retirements_note=(
        "Serial numbers and whole tonnes are those of the whole retirement, first and last number included. The column "
        "“This order” is the part that belongs to this order."
    ),
    project="Project",
    registry="Registry",
    credits="Credits",
    this_order="This order",
    vintage="Vintage",
    serial_numbers="Serial numbers",
    methodology="Methodology",
    reference="Registry reference",
    whole_retirement="Whole retirement",
    total="Total of this order",
    aftermath="What became of these credits",
    reversed="{tonnes} of the retirement {reference} were reversed on {date}: {reason}",
    invalidated="{tonnes} of the retirement {reference} were invalidated on {date}: {reason}",
    replaced="In their place, {tonnes} of {project} ({registry}, vintage {vintage}) were retired on {date}: {serials}, reference {reference}",
    being_replaced="In their place, {tonnes} of {project} ({registry}, vintage {vintage}) are being retired: {serials}",
)

_GERMAN = Texts(
    live=Wording(
        title="Stilllegungsbescheinigung",
        on_behalf_of="CO₂-Zertifikate, stillgelegt zugunsten von",
        statement=(
            "Für diese Bestellung wurden CO₂-Zertifikate über {mass} CO₂-Äquivalent zugunsten der oben genannten Partei "
            "stillgelegt. Ein stillgelegtes Zertifikat ist dem Verkehr entzogen: Es kann nicht mehr verkauft, übertragen "
            "oder genutzt werden. Die folgenden Seiten nennen jede Stilllegung, ihre Seriennummern und das Register, das "
            "sie führt."
        ),
        completed_on="Vollständig stillgelegt am",
        retirements="Stilllegungen",
        retired_on="Stillgelegt am",
    ),
    test=Wording(
        title="Testdokument",
        on_behalf_of="Testbestellung im Namen von",
        statement=(
            "Dieses Dokument zeigt, wie eine Bescheinigung aussehen würde. Die Bestellung wurde im Testmodus aufgegeben: "
            "Es wurde nichts stillgelegt, und dieses Dokument beweist nichts. Projekte, Seriennummern und Referenzen auf "
            "den folgenden Seiten sind Testdaten."
        ),
        completed_on="Test abgeschlossen am",
        retirements="Testdaten: Es wurde nichts stillgelegt",
        retired_on="Testdatum",
    ),
    watermark="TEST: Es wurde nichts stillgelegt",
    exactly="genau {mass}",
    order="Bestellung",
    ordered_on="Bestellt am",
    ordered_by="Bestellt von",
    retirements_count="Anzahl der Stilllegungen",
    check_heading="Dieses Dokument prüfen",
    check_text="Scannen Sie den Code oder öffnen Sie diese Adresse. Die Seite dort zeigt dieselben Angaben.",
    qr_alternative="QR-Code der Adresse {url}",
    logo_alternative="Logo von {name}",
    retirements_note=(
        "Seriennummern und ganze Tonnen gelten für die ganze Stilllegung, erste und letzte Nummer eingeschlossen. Die "
        "Spalte „Diese Bestellung“ nennt den Teil, der zu dieser Bestellung gehört."
    ),
    project="Projekt",
    registry="Register",
    credits="Zertifikate",
    this_order="Diese Bestellung",
    vintage="Jahrgang",
    serial_numbers="Seriennummern",
    methodology="Methodik",
    reference="Referenz des Registers",
    whole_retirement="Ganze Stilllegung",
    total="Summe dieser Bestellung",
    aftermath="Was aus diesen Zertifikaten wurde",
    reversed="{tonnes} der Stilllegung {reference} wurden am {date} rückgängig gemacht: {reason}",
    invalidated="{tonnes} der Stilllegung {reference} wurden am {date} für ungültig erklärt: {reason}",
    replaced="An ihrer Stelle wurden am {date} {tonnes} aus {project} ({registry}, Jahrgang {vintage}) stillgelegt: {serials}, Referenz {reference}",
    being_replaced="An ihrer Stelle werden {tonnes} aus {project} ({registry}, Jahrgang {vintage}) stillgelegt: {serials}",
)

_FRENCH = Texts(
    live=Wording(
        title="Certificat de retrait",
        on_behalf_of="Crédits carbone retirés au nom de",
        statement=(
            "Pour cette commande, des crédits carbone correspondant à {mass} d’équivalent CO₂ ont été retirés au nom du "
            "bénéficiaire nommé ci-dessus. Un crédit retiré n’est plus en circulation : il ne peut plus être vendu, "
            "transféré ni utilisé. Les pages suivantes indiquent chaque retrait, ses numéros de série et le registre qui "
            "le consigne."
        ),
        completed_on="Entièrement retirés le",
        retirements="Retraits",
        retired_on="Retiré le",
    ),
    test=Wording(
        title="Document de test",
        on_behalf_of="Commande de test au nom de",
        statement=(
            "Ce document montre à quoi ressemblerait un certificat. La commande a été passée en mode test : rien n’a été "
            "retiré, et ce document ne prouve rien. Les projets, numéros de série et références des pages suivantes sont "
            "des données de test."
        ),
        completed_on="Test terminé le",
        retirements="Données de test : rien n’a été retiré",
        retired_on="Date de test",
    ),
    watermark="TEST : rien n’a été retiré",
    exactly="exactement {mass}",
    order="Commande",
    ordered_on="Commandé le",
    ordered_by="Commandé par",
    retirements_count="Nombre de retraits",
    check_heading="Vérifier ce document",
    check_text="Scannez le code ou ouvrez cette adresse. La page affiche les mêmes informations.",
    qr_alternative="Code QR de l’adresse {url}",
    logo_alternative="Logo de {name}",
    retirements_note=(
        "Les numéros de série et les tonnes entières sont ceux du retrait entier, premier et dernier numéros compris. La "
        "colonne « Cette commande » indique la part qui revient à cette commande."
    ),
    project="Projet",
    registry="Registre",
    credits="Crédits",
    this_order="Cette commande",
    vintage="Millésime",
    serial_numbers="Numéros de série",
    methodology="Méthodologie",
    reference="Référence du registre",
    whole_retirement="Retrait entier",
    total="Total de cette commande",
    aftermath="Ce que ces crédits sont devenus",
    reversed="{tonnes} du retrait {reference} ont fait l’objet d’une inversion le {date} : {reason}",
    invalidated="{tonnes} du retrait {reference} ont été invalidées le {date} : {reason}",
    replaced="À leur place, {tonnes} de {project} ({registry}, millésime {vintage}) ont été retirées le {date} : {serials}, référence {reference}",
    being_replaced="À leur place, {tonnes} de {project} ({registry}, millésime {vintage}) sont en cours de retrait : {serials}",
)

_SPANISH = Texts(
    live=Wording(
        title="Certificado de retiro",
        on_behalf_of="Créditos de carbono retirados en nombre de",
        statement=(
            "Para este pedido se retiraron créditos de carbono por {mass} de CO₂ equivalente en nombre del beneficiario "
            "arriba indicado. Un crédito retirado queda fuera de circulación: ya no puede venderse, transferirse ni usarse. "
            "Las páginas siguientes indican cada retiro, sus números de serie y el registro que lo consigna."
        ),
        completed_on="Retirado por completo el",
        retirements="Retiros",
        retired_on="Retirado el",
    ),
    test=Wording(
        title="Documento de prueba",
        on_behalf_of="Pedido de prueba a nombre de",
        statement=(
            "Este documento muestra cómo sería un certificado. El pedido se hizo en modo de prueba: no se retiró nada y "
            "este documento no prueba nada. Los proyectos, números de serie y referencias de las páginas siguientes son "
            "datos de prueba."
        ),
        completed_on="Prueba terminada el",
        retirements="Datos de prueba: no se retiró nada",
        retired_on="Fecha de prueba",
    ),
    watermark="PRUEBA: no se retiró nada",
    exactly="exactamente {mass}",
    order="Pedido",
    ordered_on="Pedido el",
    ordered_by="Pedido por",
    retirements_count="Número de retiros",
    check_heading="Comprobar este documento",
    check_text="Escanee el código o abra esta dirección. La página muestra los mismos datos.",
    qr_alternative="Código QR de la dirección {url}",
    logo_alternative="Logotipo de {name}",
    retirements_note=(
        "Los números de serie y las toneladas enteras son los del retiro completo, incluidos el primero y el último "
        "número. La columna «Este pedido» indica la parte que corresponde a este pedido."
    ),
    project="Proyecto",
    registry="Registro",
    credits="Créditos",
    this_order="Este pedido",
    vintage="Añada",
    serial_numbers="Números de serie",
    methodology="Metodología",
    reference="Referencia del registro",
    whole_retirement="Retiro completo",
    total="Total de este pedido",
    aftermath="Qué fue de estos créditos",
    reversed="{tonnes} del retiro {reference} fueron revertidas el {date}: {reason}",
    invalidated="{tonnes} del retiro {reference} fueron invalidadas el {date}: {reason}",
    replaced="En su lugar, {tonnes} de {project} ({registry}, añada {vintage}) fueron retiradas el {date}: {serials}, referencia {reference}",
    being_replaced="En su lugar, {tonnes} de {project} ({registry}, añada {vintage}) están siendo retiradas: {serials}",
)

_ITALIAN = Texts(
    live=Wording(
        title="Certificato di ritiro",
        on_behalf_of="Crediti di carbonio ritirati per conto di",
        statement=(
            "Per questo ordine sono stati ritirati crediti di carbonio per {mass} di CO₂ equivalente per conto del "
            "beneficiario sopra indicato. Un credito ritirato è fuori circolazione: non può più essere venduto, trasferito "
            "o usato. Le pagine seguenti indicano ogni ritiro, i suoi numeri di serie e il registro che lo riporta."
        ),
        completed_on="Ritirati per intero il",
        retirements="Ritiri",
        retired_on="Ritirato il",
    ),
    test=Wording(
        title="Documento di prova",
        on_behalf_of="Ordine di prova a nome di",
        statement=(
            "Questo documento mostra come sarebbe un certificato. L’ordine è stato fatto in modalità di prova: nulla è "
            "stato ritirato e questo documento non prova nulla. Progetti, numeri di serie e riferimenti nelle pagine "
            "seguenti sono dati di prova."
        ),
        completed_on="Prova conclusa il",
        retirements="Dati di prova: nulla è stato ritirato",
        retired_on="Data di prova",
    ),
    watermark="PROVA: nulla è stato ritirato",
    exactly="esattamente {mass}",
    order="Ordine",
    ordered_on="Ordinato il",
    ordered_by="Ordinato da",
    retirements_count="Numero di ritiri",
    check_heading="Verificare questo documento",
    check_text="Scansionare il codice o aprire questo indirizzo. La pagina mostra gli stessi dati.",
    qr_alternative="Codice QR dell’indirizzo {url}",
    logo_alternative="Logo di {name}",
    retirements_note=(
        "I numeri di serie e le tonnellate intere sono quelli dell’intero ritiro, primo e ultimo numero compresi. La "
        "colonna «Questo ordine» indica la parte che spetta a questo ordine."
    ),
    project="Progetto",
    registry="Registro",
    credits="Crediti",
    this_order="Questo ordine",
    vintage="Annata",
    serial_numbers="Numeri di serie",
    methodology="Metodologia",
    reference="Riferimento del registro",
    whole_retirement="Intero ritiro",
    total="Totale di questo ordine",
    aftermath="Che cosa ne è stato di questi crediti",
    reversed="{tonnes} del ritiro {reference} sono state annullate da un’inversione il {date}: {reason}",
    invalidated="{tonnes} del ritiro {reference} sono state invalidate il {date}: {reason}",
    replaced="Al loro posto, {tonnes} di {project} ({registry}, annata {vintage}) sono state ritirate il {date}: {serials}, riferimento {reference}",
    being_replaced="Al loro posto, {tonnes} di {project} ({registry}, annata {vintage}) sono in corso di ritiro: {serials}",
)

_PORTUGUESE = Texts(
    live=Wording(
        title="Certificado de aposentadoria",
        on_behalf_of="Créditos de carbono aposentados em nome de",
        statement=(
            "Para este pedido foram aposentados créditos de carbono de {mass} de CO₂ equivalente em nome do beneficiário "
            "acima indicado. Um crédito aposentado está fora de circulação: já não pode ser vendido, transferido nem usado. "
            "As páginas seguintes indicam cada aposentadoria, os seus números de série e o registro que a guarda."
        ),
        completed_on="Aposentados por inteiro em",
        retirements="Aposentadorias",
        retired_on="Aposentado em",
    ),
    test=Wording(
        title="Documento de teste",
        on_behalf_of="Pedido de teste em nome de",
        statement=(
            "Este documento mostra como seria um certificado. O pedido foi feito em modo de teste: nada foi aposentado e "
            "este documento não prova nada. Os projetos, números de série e referências das páginas seguintes são dados "
            "de teste."
        ),
        completed_on="Teste concluído em",
        retirements="Dados de teste: nada foi aposentado",
        retired_on="Data de teste",
    ),
    watermark="TESTE: nada foi aposentado",
    exactly="exatamente {mass}",
    order="Pedido",
    ordered_on="Pedido em",
    ordered_by="Pedido por",
    retirements_count="Número de aposentadorias",
    check_heading="Verificar este documento",
    check_text="Leia o código ou abra este endereço. A página mostra os mesmos dados.",
    qr_alternative="Código QR do endereço {url}",
    logo_alternative="Logotipo de {name}",
    retirements_note=(
        "Os números de série e as toneladas inteiras são os de toda a aposentadoria, incluindo o primeiro e o último "
        "número. A coluna “Este pedido” indica a parte que cabe a este pedido."
    ),
    project="Projeto",
    registry="Registro",
    credits="Créditos",
    this_order="Este pedido",
    vintage="Safra",
    serial_numbers="Números de série",
    methodology="Metodologia",
    reference="Referência do registro",
    whole_retirement="Toda a aposentadoria",
    total="Total deste pedido",
    aftermath="O que foi feito destes créditos",
    reversed="{tonnes} da aposentadoria {reference} foram revertidas em {date}: {reason}",
    invalidated="{tonnes} da aposentadoria {reference} foram invalidadas em {date}: {reason}",
    replaced="Em seu lugar, {tonnes} de {project} ({registry}, safra {vintage}) foram aposentadas em {date}: {serials}, referência {reference}",
    being_replaced="Em seu lugar, {tonnes} de {project} ({registry}, safra {vintage}) estão sendo aposentadas: {serials}",
)

_DUTCH = Texts(
    live=Wording(
        title="Certificaat van intrekking",
        on_behalf_of="Koolstofcredits ingetrokken namens",
        statement=(
            "Voor deze bestelling zijn koolstofcredits voor {mass} CO₂-equivalent ingetrokken namens de hierboven genoemde "
            "begunstigde. Een ingetrokken credit is uit omloop: het kan niet meer worden verkocht, overgedragen of "
            "gebruikt. De volgende pagina’s noemen elke intrekking, de serienummers en het register dat haar bijhoudt."
        ),
        completed_on="Volledig ingetrokken op",
        retirements="Intrekkingen",
        retired_on="Ingetrokken op",
    ),
    test=Wording(
        title="Testdocument",
        on_behalf_of="Testbestelling op naam van",
        statement=(
            "Dit document laat zien hoe een certificaat eruit zou zien. De bestelling is in de testmodus geplaatst: er is "
            "niets ingetrokken en dit document bewijst niets. De projecten, serienummers en verwijzingen op de volgende "
            "pagina’s zijn testgegevens."
        ),
        completed_on="Test voltooid op",
        retirements="Testgegevens: er is niets ingetrokken",
        retired_on="Testdatum",
    ),
    watermark="TEST: er is niets ingetrokken",
    exactly="precies {mass}",
    order="Bestelling",
    ordered_on="Besteld op",
    ordered_by="Besteld door",
    retirements_count="Aantal intrekkingen",
    check_heading="Dit document controleren",
    check_text="Scan de code of open dit adres. De pagina daar toont dezelfde gegevens.",
    qr_alternative="QR-code van het adres {url}",
    logo_alternative="Logo van {name}",
    retirements_note=(
        "Serienummers en hele tonnen zijn die van de hele intrekking, eerste en laatste nummer inbegrepen. De kolom „Deze "
        "bestelling” geeft het deel dat bij deze bestelling hoort."
    ),
    project="Project",
    registry="Register",
    credits="Credits",
    this_order="Deze bestelling",
    vintage="Jaargang",
    serial_numbers="Serienummers",
    methodology="Methodologie",
    reference="Verwijzing van het register",
    whole_retirement="Hele intrekking",
    total="Totaal van deze bestelling",
    aftermath="Wat er van deze credits is geworden",
    reversed="{tonnes} van de annulering {reference} zijn op {date} teruggedraaid: {reason}",
    invalidated="{tonnes} van de annulering {reference} zijn op {date} ongeldig verklaard: {reason}",
    replaced="In hun plaats zijn op {date} {tonnes} van {project} ({registry}, jaargang {vintage}) geannuleerd: {serials}, referentie {reference}",
    being_replaced="In hun plaats worden {tonnes} van {project} ({registry}, jaargang {vintage}) geannuleerd: {serials}",
)

TEXTS: Mapping[Language, Texts] = MappingProxyType(
    {
        Language.ENGLISH: _ENGLISH,
        Language.GERMAN: _GERMAN,
        Language.FRENCH: _FRENCH,
        Language.SPANISH: _SPANISH,
        Language.ITALIAN: _ITALIAN,
        Language.PORTUGUESE: _PORTUGUESE,
        Language.DUTCH: _DUTCH,
    }
)
